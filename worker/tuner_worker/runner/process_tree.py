"""Every process that training code started, found and ended, also those that left the runner's group and session.

A process is of the family when it is in the runner's session, or when the environment that it was started with holds
our mark, which children inherit. One that took a new session and an environment without the mark is beyond us. Linux;
elsewhere only the runner's group is known, to its owner.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "TUNER_RUNNER_OF"
"""Environment variable of runners, and so of what they start: whose they are."""
KILL_SECONDS = 5.0
"""How long what was killed may take to go; what hangs in the kernel for longer is left to it."""
_HELPERS = ("multiprocessing.resource_tracker", "torch/_inductor/compile_worker")
"""In the command lines of processes that libraries start once for all that a process does."""
_PROC = Path("/proc")
_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Member:
    """A process of the family."""

    pid: int
    name: str
    """As the kernel shows it: 15 characters at most."""
    serves_the_process: bool
    """It helps whoever runs in the process, and ends with it: a run may leave it."""


class ProcessTree:
    """The processes of one worker's runners.

    Args:
        owner: Tells this worker from every other on this machine, the same after a restart.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner

    @property
    def environment(self) -> Mapping[str, str]:
        """To be set for a runner."""
        return {MARK: self._owner}

    def members(self, *, session: int | None) -> list[Member]:
        """Who lives, the runner itself included.

        Args:
            session: Of the runner; ``None`` when there is none.
        """
        return list(self._living(session))

    def end(self, *, session: int | None, grace: float) -> None:
        """Ask all to end (SIGTERM), and kill what is left after ``grace`` seconds."""
        for member in self.members(session=session):
            _signal(member.pid, signal.SIGTERM)
            _signal(member.pid, signal.SIGCONT)  # or one that is stopped would not hear of it
        deadline = time.monotonic() + grace
        while self.members(session=session) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        deadline = time.monotonic() + KILL_SECONDS
        while (living := self.members(session=session)) and time.monotonic() < deadline:
            for member in living:  # and again, for what they have started meanwhile
                _signal(member.pid, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)

    def _living(self, session: int | None) -> Iterator[Member]:
        mark = f"{MARK}={self._owner}".encode()
        for pid in _processes_of_ours():
            try:
                stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
                name, _, rest = stat.partition("(")[2].rpartition(")")
                state, _, _, sid = rest.split()[:4]
                if state in "ZX":
                    continue
                if int(sid) == session or mark in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                    command = (_PROC / str(pid) / "cmdline").read_text(errors="replace")
                    yield Member(pid=pid, name=name, serves_the_process=any(word in command for word in _HELPERS))
            except (OSError, ValueError):  # it has just ended, or is not ours to look at
                continue


def _processes_of_ours() -> Iterator[int]:
    with suppress(FileNotFoundError):
        for entry in os.scandir(_PROC):
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                with suppress(FileNotFoundError):
                    if entry.stat().st_uid == os.getuid():
                        yield int(entry.name)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
