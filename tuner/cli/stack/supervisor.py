"""Keeps child processes alive, and stops them in order. It knows nothing about what they do.

A child runs in a process group of its own, so that a Ctrl-C in the terminal reaches the parent alone, which then stops
the children one after the other, the last started first. A child that dies is started again after a delay that doubles
up to a limit; one that cannot stay up is given up. When the parent is killed outright the children go with it
(`tuner.cli.stack.die_with_parent`; Linux).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tuner.cli.stack import die_with_parent
from tuner.errors import TunerError

_POLL_SECONDS = 0.05
_TAIL_LINES = 12
_STDERR = 2


@dataclass(frozen=True, kw_only=True)
class Child:
    """A command to keep running."""

    name: str
    """What people call it, unique in its supervisor: ``"service"``."""
    command: tuple[str, ...]
    """The absolute path of the program, and its arguments."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of this process."""
    log: Path | None = None
    """File that its output is appended to; ``None``: the standard error of this process."""
    grace_seconds: float = 10.0
    """How long it may take to end after SIGTERM before it is killed."""


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """When a child that died is started again, and when no more."""

    first_delay: float = 0.5
    """Seconds before the first restart; each further death in a row doubles it."""
    longest_delay: float = 30.0
    steady_seconds: float = 30.0
    """Alive for this long, a child has its earlier deaths forgotten."""
    deaths_in_a_row: int = 8
    """So many, and the child is given up."""
    refusals: frozenset[int] = frozenset({2})
    """Exit codes that say that the command line itself is wrong: the child is given up at once."""

    def delay(self, deaths: int) -> float:
        """Seconds to wait after so many deaths in a row (at least 1)."""
        return min(self.longest_delay, self.first_delay * 2.0 ** (deaths - 1))


class ChildGivenUp(TunerError):
    """A child would not stay up.

    Args:
        name: The child's name.
        reason: How it ended, with the last lines of its log where it has one.
    """

    def __init__(self, name: str, *, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"the {name} would not stay up: {reason}")


class _Tended:
    """A child with its process, if it has one now."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at = 0.0
        self.started_at = 0.0
        self.deaths = 0
        self.log_start = 0

    def start(self) -> None:
        with ExitStack() as stack:
            output: IO[bytes] | int = _STDERR
            if self.child.log is not None:
                self.child.log.parent.mkdir(parents=True, exist_ok=True)
                output = stack.enter_context(self.child.log.open("ab"))
                self.log_start = output.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), *self.child.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.child.environment},
                process_group=0,
            )
        self.started_at = time.monotonic()

    def exit_code(self) -> int | None:
        """How the process ended (negative: by that signal); ``None`` while it runs. Takes along what it left behind."""
        if self.process is None or self.process.poll() is None:
            return None
        self.signal_group(signal.SIGKILL)
        code, self.process = self.process.returncode, None
        return code

    def signal_group(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def terminate(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def last_words(self) -> str:
        """The last line that it has logged since it was last started."""
        return next(reversed(self._log_lines(start=self.log_start)), "")

    def log_tail(self) -> str:
        lines = self._log_lines()[-_TAIL_LINES:]
        return "".join(f"\n    {line}" for line in lines)

    def _log_lines(self, *, start: int = 0) -> list[str]:
        if self.child.log is None or not self.child.log.exists():
            return []
        return self.child.log.read_bytes()[start:].decode(errors="replace").splitlines()


class Supervisor:
    """Keeps children alive from a thread of its own; a context manager that stops them all on the way out.

    Every child is started by that thread, which lives until they are all stopped: Linux ties a child to the thread
    that forked it, not to the process.

    Args:
        tell: Called, from the thread, with a line for people about each start, death and stop.
        policy: When to start again.
    """

    def __init__(self, *, tell: Callable[[str], None], policy: RestartPolicy | None = None) -> None:
        self._tell = tell
        self._policy = policy or RestartPolicy()
        self._tended: list[_Tended] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._given_up: ChildGivenUp | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def add(self, child: Child) -> None:
        """Start a child, and keep it alive from now on."""
        with self._lock:
            self._tended.append(_Tended(child))

    def pids(self) -> dict[str, int]:
        """The children that run now, by name. They are the commands themselves: die_with_parent leaves no process."""
        with self._lock:
            return {one.child.name: one.process.pid for one in self._tended if one.process is not None}

    def check(self) -> None:
        """Return when all is well.

        Raises:
            ChildGivenUp: A child is not started again any more.
        """
        if self._given_up is not None:
            raise self._given_up

    def stop(self) -> None:
        """Stop every child, the last started first, and return when they are gone. A second Ctrl-C kills them."""
        self._stopping.set()
        while self._thread.is_alive():
            try:
                self._thread.join()
            except KeyboardInterrupt:
                self._hurry.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                tended = tuple(self._tended)
            for one in tended:
                self._tend(one)
            self._stopping.wait(_POLL_SECONDS)
        for one in reversed(self._tended):
            self._stop_one(one)

    def _tend(self, one: _Tended) -> None:
        if one.process is None:
            if self._given_up is None and time.monotonic() >= one.start_at:
                self._start(one)
            return
        code = one.exit_code()
        if code is not None:
            self._reap(one, code=code)

    def _start(self, one: _Tended) -> None:
        try:
            one.start()
        except OSError as error:
            self._given_up = ChildGivenUp(one.child.name, reason=f"it cannot be started ({error})")

    def _reap(self, one: _Tended, *, code: int) -> None:
        now = time.monotonic()
        one.deaths = 1 if now - one.started_at >= self._policy.steady_seconds else one.deaths + 1
        how = _how_it_ended(code)
        if code in self._policy.refusals or one.deaths >= self._policy.deaths_in_a_row:
            self._given_up = ChildGivenUp(one.child.name, reason=how + one.log_tail())
            return
        delay = self._policy.delay(one.deaths)
        one.start_at = now + delay
        why = f" It said: {said}" if code > 0 and (said := one.last_words()) else ""
        self._tell(f"The {one.child.name} {how}; starting it again in {delay:.1f} s.{why}")

    def _stop_one(self, one: _Tended) -> None:
        if one.process is None:
            return
        one.terminate()
        deadline = time.monotonic() + one.child.grace_seconds
        while one.exit_code() is None:
            if self._hurry.is_set() or time.monotonic() >= deadline:
                one.signal_group(signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        self._tell(f"The {one.child.name} has stopped.")


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
