"""Restarts child processes that die, and stops them in order. It knows nothing about their work.

A child runs in a process group of its own, so that a Ctrl-C in the terminal reaches the parent alone, which then stops
the children one after the other, the last started first. A child that dies is restarted after a delay that doubles
up to a limit; after too many deaths it is given up. When the parent is killed, the children die with it
(`tuner.process.die_with_parent`; Linux).
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

from tuner.cli.stack.failure_cause import failure_cause
from tuner.errors import TunerError
from tuner.process import die_with_parent

_POLL_SECONDS = 0.05
_TAIL_BYTES = 65_536
_STDERR = 2


@dataclass(frozen=True, kw_only=True)
class Child:
    """A command that is restarted when it dies."""

    name: str
    """Its name, unique in its supervisor: ``"service"``."""
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
    """When a child that died is restarted, and when it is given up."""

    first_delay: float = 0.5
    """Seconds before the first restart; each further death in a row doubles it."""
    longest_delay: float = 30.0
    steady_seconds: float = 30.0
    """After this long alive, earlier deaths no longer count."""
    deaths_in_a_row: int = 8
    """After this many the child is given up."""
    refusals: frozenset[int] = frozenset({2})
    """Exit codes of a wrong command line: the child is given up at once."""

    def delay(self, deaths: int) -> float:
        """Seconds to wait after so many deaths in a row (at least 1)."""
        return min(self.longest_delay, self.first_delay * 2.0 ** (deaths - 1))


class ChildFailed(TunerError):
    """A child died too often, or cannot run at all.

    Args:
        name: The child's name.
        reason: Why, the cause first.
    """

    def __init__(self, name: str, *, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"the {name} {reason}")


class _ManagedChild:
    """A child and its process, if it runs."""

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
                self.child.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                output = stack.enter_context(open(self.child.log, "ab", opener=_for_us_alone))
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
        """The exit code (negative: a signal), ``None`` while the process runs. Kills the rest of its process group."""
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

    def cause(self) -> str:
        """Why it ended, from its log since its last start; empty where that says nothing."""
        if self.child.log is None or not self.child.log.exists():
            return ""
        with self.child.log.open("rb") as log:
            log.seek(max(self.log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return failure_cause(log.read().decode(errors="replace").splitlines())


class Supervisor:
    """Restarts children from a thread of its own; a context manager that stops them all at its end.

    That thread starts every child and lives until all have stopped: Linux ties a child to the thread that forked it,
    not to the process.

    Args:
        say: Prints a line about each death and stop; called from the thread.
        policy: When to restart.
    """

    def __init__(self, *, say: Callable[[str], None], policy: RestartPolicy | None = None) -> None:
        self._say = say
        self._policy = policy or RestartPolicy()
        self._children: list[_ManagedChild] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._given_up: ChildFailed | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def add(self, child: Child) -> None:
        """Start a child, and restart it when it dies."""
        with self._lock:
            self._children.append(_ManagedChild(child))

    def pids(self) -> dict[str, int]:
        """The process ids of the children that run, by name: those of the commands themselves."""
        with self._lock:
            return {one.child.name: one.process.pid for one in self._children if one.process is not None}

    def check(self) -> None:
        """Check that no child was given up.

        Raises:
            ChildFailed: A child is not restarted any more.
        """
        if self._given_up is not None:
            raise self._given_up

    def stop(self) -> None:
        """Stop every child, the last started first, and wait for their ends. A second Ctrl-C kills them."""
        self._stopping.set()
        while self._thread.is_alive():
            try:
                self._thread.join()
            except KeyboardInterrupt:
                self._hurry.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                children = tuple(self._children)
            for child in children:
                self._supervise(child)
            self._stopping.wait(_POLL_SECONDS)
        for one in reversed(self._children):
            self._stop_one(one)

    def _supervise(self, one: _ManagedChild) -> None:
        if one.process is None:
            if self._given_up is None and time.monotonic() >= one.start_at:
                self._start(one)
            return
        code = one.exit_code()
        if code is not None:
            self._reap(one, code=code)

    def _start(self, one: _ManagedChild) -> None:
        try:
            one.start()
        except OSError as error:
            self._given_up = ChildFailed(one.child.name, reason=f"cannot be started: {error}")

    def _reap(self, one: _ManagedChild, *, code: int) -> None:
        now = time.monotonic()
        one.deaths = 1 if now - one.started_at >= self._policy.steady_seconds else one.deaths + 1
        ending, cause = _describe_exit(code), one.cause() if code > 0 else ""
        if code in self._policy.refusals or one.deaths >= self._policy.deaths_in_a_row:
            verb = "cannot start" if code in self._policy.refusals else "keeps failing"
            logged = f"\nIts log is {one.child.log}" if one.child.log is not None else ""
            self._given_up = ChildFailed(one.child.name, reason=f"{verb}: {cause or ending}{logged}")
            return
        delay = self._policy.delay(one.deaths)
        one.start_at = now + delay
        why = f" Why: {cause.splitlines()[0]}" if cause else ""
        self._say(f"The {one.child.name} {ending}; restarting it in {delay:.1f} s.{why}")

    def _stop_one(self, one: _ManagedChild) -> None:
        if one.process is None:
            return
        one.terminate()
        deadline = time.monotonic() + one.child.grace_seconds
        while one.exit_code() is None:
            if self._hurry.is_set() or time.monotonic() >= deadline:
                one.signal_group(signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        self._say(f"The {one.child.name} has stopped.")


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
