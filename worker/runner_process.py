"""A runner as its worker sees it: a child process that trains, answers on a pipe, and may die at any moment.

The process stays warm: one start (seconds, for importing torch) serves many runs. It leads a session of its own, so
that a Ctrl-C in the terminal does not reach it and whatever it forks can be killed with it; and it dies with the worker
(`tuner.training.runner` says how).
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tuner.errors import TunerError
from tuner.training.protocol import PROTOCOL_VERSION, FromRunner, Hello, ToRunner
from worker.message_pipe import BadMessage, MessagePipe, PipeClosed
from worker.runner_log import RunnerLog
from worker.stopping import StopRequest

_LOOK_SECONDS = 0.5
"""How often to look whether the process still lives: a child that it forked may hold the pipe open after its death."""
_SEND_SECONDS = 10.0
_AFTER_CLOSE_SECONDS = 5.0
"""How long the process may live on after it closed its pipe, or was asked to end."""
_MIB = 1024 * 1024


class RunnerDied(TunerError):
    """The runner is gone: it ended, crashed, broke the protocol or was killed. The message says which, in full."""


@dataclass(frozen=True, kw_only=True)
class RunnerCommand:
    """How a runner is started."""

    device: str
    """As torch names it."""
    environment: Mapping[str, str]
    """The whole environment of the process."""
    workloads: Sequence[str] = ()
    """Providers of workloads besides those built in and installed, as `tuner.training.registry` reads them."""
    memory_limit_mib: int | None = None
    """Largest address space of the process; Linux."""

    def arguments(self, *, read_fd: int, write_fd: int) -> list[str]:
        """The command line, with the descriptors that the process reads from and writes to."""
        # -P: a folder named like a package of ours in the working directory must not be taken for it.
        runner = [sys.executable, "-P", "-m", "tuner.training.runner", "--device", self.device]
        pipes = ["--read-fd", str(read_fd), "--write-fd", str(write_fd)]
        return [*runner, *pipes, *(part for provider in self.workloads for part in ("--workloads", provider))]


class RunnerProcess:
    """One runner at a time; after a death, `start` makes the next.

    Not thread-safe: Linux ties the child to the thread that starts it.

    Args:
        command: How to start it.
        log: Where its output goes.
        stop: Ends a wait for the runner.
    """

    def __init__(self, command: RunnerCommand, *, log: RunnerLog, stop: StopRequest) -> None:
        self._command = command
        self._log = log
        self._stop = stop
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: MessagePipe | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a process, and it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return None if self._process is None else self._process.pid

    def start(self, *, timeout: float) -> Hello | None:
        """Start the process and wait until it says what it offers.

        Args:
            timeout: Seconds that this may take.

        Returns:
            Its greeting; ``None`` when the worker was asked to stop first (the process is killed then).

        Raises:
            RunnerDied: It ended before it was ready, took too long, or speaks another version of the protocol.
        """
        self.kill()
        self._log.mark("runner started")
        self._spawn()
        message = self.receive(timeout=timeout, until_stop=True)
        if isinstance(message, Hello) and message.protocol == PROTOCOL_VERSION:
            return message
        if isinstance(message, Hello):
            raise self.put_down(f"it speaks version {message.protocol} of the protocol, not {PROTOCOL_VERSION}")
        if message is not None:
            raise self.put_down(f"its first message was {message.type!r}, not 'hello'")
        if not self._stop.requested:
            raise self.put_down(f"it was not ready within {timeout:g} s")
        self.kill()
        return None

    def send(self, message: ToRunner) -> None:
        """Write one message.

        Raises:
            RunnerDied: It is gone, or does not read.
        """
        pipe = self._open_pipe()
        try:
            pipe.send(message, timeout=_SEND_SECONDS)
        except PipeClosed:
            raise self._found_dead() from None
        except TimeoutError:
            raise self.put_down(f"it read no message for {_SEND_SECONDS:g} s") from None

    def receive(self, *, timeout: float, until_stop: bool) -> FromRunner | None:
        """The next message; ``None`` when there is none in time.

        A message that was sent before a death is returned before the death is told.

        Args:
            timeout: Seconds to wait.
            until_stop: Wait no longer once the worker is asked to stop.

        Raises:
            RunnerDied: It is gone, or what it sent is no message (it is killed then).
        """
        pipe = self._open_pipe()
        deadline = time.monotonic() + timeout
        wake_fd = self._stop.fd if until_stop else None
        while True:
            ended = self._process is None or self._process.poll() is not None
            wait = 0.0 if ended else min(deadline - time.monotonic(), _LOOK_SECONDS)
            try:
                message = pipe.receive(timeout=wait, wake_fd=wake_fd)
            except PipeClosed:
                raise self._found_dead() from None
            except BadMessage as error:
                raise self.put_down(f"it broke the protocol: {error}") from None
            if message is not None:
                self._log.trim()
                return message
            if ended:
                raise self._found_dead()
            if time.monotonic() >= deadline or (until_stop and self._stop.requested):
                return None

    def put_down(self, reason: str) -> RunnerDied:
        """Kill the process, and return an error that says why, with its last words, for the caller to raise."""
        self.kill()
        return RunnerDied(self._with_last_words(f"the runner was killed: {reason}"))

    def close(self) -> None:
        """End the process in order: it ends by itself when its pipe is closed; what is left is killed."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_AFTER_CLOSE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the process and everything that it forked; nothing to do when there is none."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _spawn(self) -> None:
        self._pipe = pipe = MessagePipe()
        stdout, stderr = self._log.open()
        fds = {"read_fd": pipe.runner_read_fd, "write_fd": pipe.runner_write_fd}
        try:
            self._process = subprocess.Popen(
                self._command.arguments(**fds),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=dict(self._command.environment),
                pass_fds=tuple(fds.values()),
                start_new_session=True,
            )
        except OSError as error:
            raise RunnerDied(f"the runner could not be started: {error}") from error
        finally:
            stdout.close()
            stderr.close()
            pipe.hand_over()
        limit = self._command.memory_limit_mib
        if limit is not None and sys.platform == "linux":
            with suppress(ProcessLookupError):  # dead already: the first receive tells
                resource.prlimit(self._process.pid, resource.RLIMIT_AS, (limit * _MIB, limit * _MIB))

    def _open_pipe(self) -> MessagePipe:
        if self._pipe is None:
            raise RunnerDied("there is no runner")
        return self._pipe

    def _found_dead(self) -> RunnerDied:
        """Bury the process and say how it ended."""
        if self._process is None:
            return RunnerDied("there is no runner")
        try:
            code = self._process.wait(_AFTER_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            return self.put_down("it closed its pipe but did not end")
        self.kill()
        return RunnerDied(self._with_last_words(how_it_ended(code)))

    def _with_last_words(self, reason: str) -> str:
        words = self._log.tail()
        return f"{reason}\nLast lines of its error output:\n{words}" if words else reason


def how_it_ended(code: int) -> str:
    """An exit code in words.

    Args:
        code: As `subprocess` tells it: negative for a signal.
    """
    if code >= 0:
        return f"the runner ended by itself, with exit code {code} and no result"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (often the system's answer to a lack of memory)" if name == "SIGKILL" else ""
    return f"the runner was killed by {name}{hint}"
