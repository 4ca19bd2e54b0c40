"""A runner as a child process: it trains, sends messages over a pipe, and may die at any moment.

The process stays warm: one start (seconds, for importing torch) serves many runs. It leads a session of its own, so
that a Ctrl-C in the terminal does not reach it, and all that it starts can be ended with it
(`tuner_worker.runner.process_tree`). It dies with the worker (`tuner.training.runner`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tuner.driver.oom_killer import OomKiller
from tuner.driver.process_memory import ProcessMemory
from tuner.driver.runner import RunnerDied, train_by_messages
from tuner.driver.supervisor import RunSupervisor
from tuner.process.exit import is_killed_from_outside
from tuner.training.protocol import PROTOCOL_VERSION, Ended, FromRunner, Hello, ToRunner, Train
from tuner.training.runner.out_of_memory import MemoryUse
from tuner.training.runner.own_signals import NOTE
from tuner_worker.runner import launch
from tuner_worker.runner.exit_report import (
    describe_exit,
    is_stopped,
    output_before_dump,
    stack_of_dump,
)
from tuner_worker.runner.launch import Limits
from tuner_worker.runner.log import RunnerLog
from tuner_worker.runner.message_pipe import BadMessage, MessagePipe, PipeClosed
from tuner_worker.runner.process_tree import ProcessTree, is_helper, name_of
from tuner_worker.runner.user import RunnerUser
from tuner_worker.stop_request import StopRequest

_INSPECT_SECONDS = 0.25
"""How often the process is inspected: its memory, the size of its log, and whether it lives, because a child that it
forked may hold the pipe open after its death."""
_SEND_SECONDS = 10.0
_AFTER_CLOSE_SECONDS = 5.0
"""How long the process may live after it closed its pipe, or was asked to end."""
_TERM_SECONDS = 2.0
"""Time between SIGTERM and SIGKILL."""
_DUMP_SECONDS = 2.0
"""How long a stuck process may take to write its stack."""
_DUMP_BYTES = 64 * 1024
_SIGTERM_IGNORED = "; it did not end at SIGTERM, which its code ignores or handles, so that SIGKILL had to end it"
_FOREIGN_DESCRIPTOR = " (training code must not write to, or close, a file descriptor that it did not open)"
_MIB = 1024 * 1024
_UMASK = 0o077
_SHARED_UMASK = 0o007
"""Of a runner of another user, whose group the worker is in: it deletes the snapshots."""
_OOM_SCORE = 500
"""What the kernel's OOM killer adds to the size of a runner and its children, in thousandths of all memory."""


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
    """Memory that the process may have, together with those that it starts; Linux."""
    user: RunnerUser | None = None
    """Whom it runs as; the worker's own user when absent."""

    @property
    def limits(self) -> Limits:
        """What it starts with."""
        # Where one allocation is too large, an error with its traceback says more than a kill. CUDA's own bookkeeping
        # counts as data, so that there the memory in use alone is limited.
        limited = self.memory_limit_mib is not None and self.device == "cpu"
        data_bytes = (self.memory_limit_mib or 0) * _MIB if limited else None
        # Of many small processes that together have too much, the kernel might take the worker for the largest.
        limits = Limits(umask=_UMASK, oom_score=_OOM_SCORE, data_bytes=data_bytes)
        if self.user is None:
            return limits
        user = self.user
        return limits._replace(umask=_SHARED_UMASK, uid=user.uid, gid=user.gid, groups=user.groups)

    def arguments(self, *, read_fd: int, write_fd: int) -> list[str]:
        """The command line, with the descriptors that the process reads from and writes to."""
        runner = [sys.executable, "-m", "tuner.training.runner", "--device", self.device]
        pipes = ["--read-fd", str(read_fd), "--write-fd", str(write_fd)]
        return [*runner, *pipes, *(part for provider in self.workloads for part in ("--workloads", provider))]


class RunnerProcess:
    """One runner at a time; after a death, `start` makes the next.

    Not thread-safe: Linux ties the child to the thread that starts it.

    Args:
        command: How to start it.
        tree: Finds what it started.
        log: Where its output goes.
        stop: Ends a wait for the runner.
    """

    def __init__(self, command: RunnerCommand, *, tree: ProcessTree, log: RunnerLog, stop: StopRequest) -> None:
        self._command = command
        self._tree = tree
        self._memory = ProcessMemory(limit_mib=command.memory_limit_mib)
        self._oom_killer = OomKiller()
        self._kills_before = self._oom_killer.kills()
        self._next_inspection = 0.0
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
        """Start the process and wait until it reports what it offers; end first what an earlier one has left.

        Args:
            timeout: Seconds that this may take.

        Returns:
            Its first message; ``None`` when the worker was asked to stop first (the process is killed then).

        Raises:
            RunnerDied: It ended before it was ready, took too long, or speaks another version of the protocol.
        """
        self.kill()
        self._tree.end(session=None, grace=0.0)
        self._log.mark("runner started")
        self._spawn()
        message = self.receive(timeout=timeout, until_stop=True)
        if isinstance(message, Hello) and message.protocol == PROTOCOL_VERSION:
            return message
        if isinstance(message, Hello):
            raise self.killed(f"it speaks version {message.protocol} of the protocol, not {PROTOCOL_VERSION}")
        if message is not None:
            raise self.killed(f"its first message was {message.type!r}, not 'hello'")
        if not self._stop.requested:
            raise self.killed(f"it was not ready within {timeout:g} s")
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
            raise self._reap() from None
        except TimeoutError:
            raise self.killed(f"it read no message for {_SEND_SECONDS:g} s") from None

    def receive(self, *, timeout: float, until_stop: bool) -> FromRunner | None:
        """The next message; ``None`` when there is none in time.

        A message that was sent before a death is returned before the death is raised.

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
            if not ended:
                self._inspect()
            wait = 0.0 if ended else min(deadline - time.monotonic(), _INSPECT_SECONDS)
            try:
                message = pipe.receive(timeout=wait, wake_fd=wake_fd)
            except PipeClosed:
                raise self._reap() from None
            except BadMessage as error:
                raise self.killed(f"it broke the protocol: {error}{_FOREIGN_DESCRIPTOR}") from None
            if message is not None:
                return message
            if ended:
                raise self._reap()
            if time.monotonic() >= deadline or (until_stop and self._stop.requested):
                return None

    def killed(
        self, reason: str, *, stuck: bool = False, final: bool = False, shortage: MemoryUse | None = None
    ) -> RunnerDied:
        """Kill the process, and return an error that says why, with its last output, for the caller to raise.

        Args:
            reason: Why.
            stuck: Have it write its stack first.
            final: See `RunnerDied`.
            shortage: See `RunnerDied`.
        """
        stack = self._stack() if stuck else ""
        ignored = "" if self.kill() else _SIGTERM_IGNORED
        message = self._with_output(f"the runner was killed: {reason}{ignored}{stack}", dumped=stuck)
        return RunnerDied(message, final=final, shortage=shortage)

    def train(self, request: Train, *, supervisor: RunSupervisor) -> Ended:
        """See `tuner.driver.runner.Runner.train`."""
        self._log.mark(f"run {request.run_id}, attempt {supervisor.lease.attempt}")
        self.begin_run()
        return train_by_messages(self, request, supervisor=supervisor)

    def begin_run(self) -> None:
        """Measure the memory of the run that follows."""
        self._memory.begin()
        self._kills_before = self._oom_killer.kills()

    def output(self, *, to_the_end: bool) -> str:
        """See `tuner.driver.runner.Runner.output`."""
        return self._log.fresh(to_the_end=to_the_end)

    def shortage(self) -> MemoryUse | None:
        """The memory it had, where the kernel has killed a process for lack of memory since the run began."""
        if not self._oom_killer.has_killed_since(self._kills_before):
            return None
        limit = self._oom_killer.limit_mib()
        return MemoryUse(peak_mib=self._memory.peak_mib, limit_mib=limit, limit="of the worker's control group")

    def leftover_processes(self) -> list[str]:
        """The names of the processes that a run has started and that go on."""
        others = (one for one in self._tree.processes(session=self.pid) if one.pid != self.pid)
        return [name_of(process) for process in others if not is_helper(process)]

    def close(self) -> None:
        """End the process in order: it ends by itself when its pipe is closed; what is left is killed."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_AFTER_CLOSE_SECONDS)
        self.kill()

    def kill(self) -> bool:
        """End the process and all that it started: SIGTERM, and SIGKILL for what is left a moment later.

        Returns:
            Whether the process had ended, or ended when it was asked to.
        """
        obeyed = True
        if self._process is not None:
            lives = self._process.poll() is None
            self._signal_group(signal.SIGTERM)
            self._signal_group(signal.SIGCONT)  # a stopped process would not receive it
            self._tree.end(session=self._process.pid, grace=_TERM_SECONDS)
            self._signal_group(signal.SIGKILL)
            obeyed = self._process.wait() != -signal.SIGKILL or not lives
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        return obeyed

    def _spawn(self) -> None:
        try:
            stdout, stderr = self._log.open()
        except OSError as error:
            raise RunnerDied(f"the runner's log cannot be opened: {error}", fault_of_run=False) from error
        self._pipe = pipe = MessagePipe()
        if self._command.user is not None:
            for file in (stdout, stderr):  # /dev/stdout opens it anew
                os.fchown(file.fileno(), -1, self._command.user.gid)
                os.fchmod(file.fileno(), 0o660)
        launcher = [sys.executable, "-I", "-S", launch.__file__, self._command.limits.as_argument()]
        fds = {"read_fd": pipe.runner_read_fd, "write_fd": pipe.runner_write_fd}
        try:
            self._process = subprocess.Popen(
                [*launcher, *self._command.arguments(**fds)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**self._command.environment, **self._tree.environment},
                pass_fds=tuple(fds.values()),
                start_new_session=True,
            )
        except OSError as error:
            raise RunnerDied(f"the runner could not be started: {error}", fault_of_run=False) from error
        finally:
            stdout.close()
            stderr.close()
            pipe.hand_over()

    def _inspect(self) -> None:
        """Trim the log and measure the memory of the process, unless that was done a moment ago.

        Raises:
            RunnerDied: It uses more memory than it may.
        """
        now = time.monotonic()
        if self._process is None or now < self._next_inspection:
            return
        self._next_inspection = now + _INSPECT_SECONDS
        self._log.trim()
        limit = self._memory.limit_mib
        if self._memory.is_over_limit(self._process.pid):
            use = MemoryUse(
                peak_mib=self._memory.peak_mib, limit_mib=limit, limit="TUNER_RUNNER_MEMORY_MB of the worker"
            )
            raise self.killed("out of memory: with what it started it has more than it may", final=True, shortage=use)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _stack(self) -> str:
        """The stack of a stuck process, which it writes when it is aborted (`faulthandler`), or why there is none."""
        if self._process is None:
            return ""
        if is_stopped(self._process.pid):
            return " (it was stopped by a signal, SIGSTOP or SIGTSTP, and not continued)"
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGABRT)
        try:
            self._process.wait(_DUMP_SECONDS)
        except subprocess.TimeoutExpired:
            return " (where it stood is not known: it did not react to SIGABRT)"
        return stack_of_dump(self._log.tail(last_bytes=_DUMP_BYTES, lines=None))

    def _open_pipe(self) -> MessagePipe:
        if self._pipe is None:
            raise RunnerDied("there is no runner")
        return self._pipe

    def _reap(self) -> RunnerDied:
        """Reap the process and return how it ended."""
        if self._process is None:
            return RunnerDied("there is no runner")
        try:
            code = self._process.wait(_AFTER_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            return self.killed(f"it closed its pipe but did not end{_FOREIGN_DESCRIPTOR}")
        shortage = self.shortage() if code == -signal.SIGKILL else None
        ended = describe_exit(code, leftover_processes=self.leftover_processes())
        self.kill()
        reason = ended if shortage is None else "out of memory: the kernel killed the runner"
        lost = shortage is None and is_killed_from_outside(code) and NOTE not in self._log.tail()
        return RunnerDied(
            self._with_output(reason),
            shortage=shortage,
            fault_of_run=not lost,
            exit_code=code if code >= 0 else None,
        )

    def _with_output(self, reason: str, *, dumped: bool = False) -> str:
        words = output_before_dump(self._log.tail(last_bytes=_DUMP_BYTES, lines=None)) if dumped else self._log.tail()
        return f"{reason}\nLast lines of its error output:\n{words}" if words else reason
