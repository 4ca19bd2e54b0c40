"""What the driver requires of a runner: of a child process, of this process, of an actor on another node."""

from __future__ import annotations

from typing import Protocol

from tuner.driver.supervisor import RunSupervisor
from tuner.errors import TunerError
from tuner.training.protocol import Ended, Evaluated, FromRunner, Hello, ToRunner, Train
from tuner.training.runner.out_of_memory import MemoryUse


class RunnerDied(TunerError):
    """The runner is no longer available: it ended, crashed, broke the protocol or was killed.

    The message says which, in full.

    Args:
        message: What happened, with the last lines that it printed.
        final: Whether another attempt at the same run would end the same.
        shortage: The memory that it used, where that was too much.
        fault_of_run: Whether the workload's code may have caused it. If not (its node is gone, or it was killed from
            outside), the attempt is lost and has not failed.
        exit_code: Where it ended by itself.
    """

    def __init__(
        self,
        message: str,
        *,
        final: bool = False,
        shortage: MemoryUse | None = None,
        fault_of_run: bool = True,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.final = final
        self.shortage = shortage
        self.fault_of_run = fault_of_run
        self.exit_code = exit_code


class Runner(Protocol):
    """Trains one run at a time, wherever it is; after a death it can be started again."""

    @property
    def alive(self) -> bool:
        """Whether it is started and has not ended."""
        ...

    def start(self, *, timeout: float) -> Hello | None:
        """Start it, and end first what an earlier one has left.

        Args:
            timeout: Seconds that this may take.

        Returns:
            What it offers; ``None`` when the process was asked to stop first.

        Raises:
            RunnerDied: It is not ready in time, or ended before it was.
        """
        ...

    def train(self, request: Train, *, supervisor: RunSupervisor) -> Ended:
        """Train a run and report to its supervisor until it has ended.

        Before each next update after an evaluation it obtains the supervisor's directive, and at least as often as
        `RunSupervisor.seconds_to_check` says it has the supervisor check the run.

        Raises:
            RunnerDied: The runner ended before the run did.
        """
        ...

    def shortage(self) -> MemoryUse | None:
        """The memory in use when the kernel killed a process of the run for lack of memory; ``None`` if it did not."""
        ...

    def leftover_processes(self) -> list[str]:
        """The names of the processes that the run has started and that are still running."""
        ...

    def output(self, *, to_the_end: bool) -> str:
        """What the run has printed since the last call, including a last line that has not ended if ``to_the_end``."""
        ...

    def close(self) -> None:
        """Shut the runner down gracefully; the next run needs a new one."""
        ...

    def kill(self) -> bool:
        """End the runner and all that it started, now; whether it ended without SIGKILL."""
        ...


class MessageRunner(Protocol):
    """A runner that exchanges the messages of `tuner.training.protocol`."""

    def send(self, message: ToRunner) -> None:
        """Send one message.

        Raises:
            RunnerDied: It is gone, or does not read.
        """
        ...

    def receive(self, *, timeout: float, until_stop: bool) -> FromRunner | None:
        """The next message; ``None`` when none came in ``timeout`` seconds, or with ``until_stop`` at a stop request.

        Raises:
            RunnerDied: It is gone, or what it sent is no message.
        """
        ...

    def killed(self, reason: str, *, stuck: bool = False, final: bool = False) -> RunnerDied:
        """Kill the runner, and return the error that says why.

        Args:
            reason: Why.
            stuck: Whether its stack is of interest.
            final: See `RunnerDied`.
        """
        ...


def train_by_messages(runner: MessageRunner, request: Train, *, supervisor: RunSupervisor) -> Ended:
    """Train a run through messages, in the way that `Runner.train` describes.

    Raises:
        RunnerDied: The runner died, or was killed because it broke the protocol or exceeded a limit.
    """
    try:
        runner.send(request)
    except RunnerDied as death:
        death.fault_of_run = False  # the run has not begun
        raise
    while True:
        message = runner.receive(timeout=supervisor.seconds_to_check(), until_stop=not supervisor.stopping)
        if isinstance(message, Hello):
            raise runner.killed("it broke the protocol: a second 'hello'")
        if message is not None and message.run_id != request.run_id:
            raise runner.killed(f"it broke the protocol: the message names run {message.run_id}")
        if isinstance(message, Ended):
            return message
        if isinstance(message, Evaluated):
            supervisor.forecast(message)
            # Before the evaluation is stored: the runner waits for the directive.
            runner.send(supervisor.directive(refresh=True))
        if message is not None:
            supervisor.record(message)
        if overdue := supervisor.check():
            raise runner.killed(overdue.reason, stuck=overdue.stuck, final=overdue.final)
