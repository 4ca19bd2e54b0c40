"""Every process that training code started, found and ended, also those that left the runner's group and session.

A process belongs to the tree when it is in the runner's session, or when the environment that it was started with holds
our mark, which children inherit. A process that took a new session and an environment without the mark is not found.
Where the runner has a user of its own, whose environments the worker may not read, every process of that user belongs
to the tree.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

import psutil

MARK = "TUNER_RUNNER_OF"
"""Environment variable of runners, and so of what they start: the worker that they belong to."""
KILL_SECONDS = 5.0
"""How long a killed process may take to end; one that hangs in the kernel for longer is abandoned."""
_HELPERS = ("multiprocessing.resource_tracker", "torch/_inductor/compile_worker")
"""In the command lines of helper processes, which libraries start once per process."""
_POLL_SECONDS = 0.02
_ENDED = frozenset({psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})


class ProcessTree:
    """The processes of one worker's runners.

    Args:
        owner: Distinguishes this worker from every other on this machine, the same after a restart.
        user: The runner's user; the worker's own when absent.
    """

    def __init__(self, owner: str, *, user: int | None = None) -> None:
        self._owner = owner
        self._user = os.getuid() if user is None else user

    @property
    def environment(self) -> Mapping[str, str]:
        """To be set for a runner."""
        return {MARK: self._owner}

    def processes(self, *, session: int | None) -> list[psutil.Process]:
        """The processes that run, the runner itself included.

        Args:
            session: Of the runner; ``None`` when there is none.
        """
        return list(self._running(session))

    def end(self, *, session: int | None, grace: float) -> None:
        """Ask all to end (SIGTERM), and kill what is left after ``grace`` seconds."""
        for process in self.processes(session=session):
            _signal(process, signal.SIGTERM)
            _signal(process, signal.SIGCONT)  # a stopped process would not receive it
        deadline = time.monotonic() + grace
        while self.processes(session=session) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        deadline = time.monotonic() + KILL_SECONDS
        while (running := self.processes(session=session)) and time.monotonic() < deadline:
            for process in running:  # and again, for what they have started meanwhile
                _signal(process, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)

    def _running(self, session: int | None) -> Iterator[psutil.Process]:
        users = {os.getuid(), self._user}
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError, PermissionError):
                if process.pid == os.getpid() or process.uids().real not in users or process.status() in _ENDED:
                    continue
                if os.getsid(process.pid) == session or self._is_marked(process):
                    yield process

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return bool(process.environ().get(MARK) == self._owner)
        except psutil.AccessDenied:
            return self._user != os.getuid() and bool(process.uids().real == self._user)


def is_helper(process: psutil.Process) -> bool:
    """Whether a process serves the whole life of the process that started it, and ends with it: a run may leave it."""
    with suppress(psutil.Error):
        command = "\0".join(process.cmdline())
        return any(word in command for word in _HELPERS)
    return False


def name_of(process: psutil.Process) -> str:
    """The name of a process; "?" when it has just ended."""
    with suppress(psutil.Error):
        return str(process.name())
    return "?"


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.Error):  # psutil checks that the process id was not reused
        process.send_signal(number)
