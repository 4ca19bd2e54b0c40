"""One run as training code that owns its loop sees it: the schedule to follow, and where to report. Free of torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from tuner.errors import InvalidValue
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Schedule
from tuner.training.epochs import Loader, checked_steps_per_epoch, epochs, epochs_over, steps_in
from tuner.training.evaluation_steps import evaluation_steps
from tuner.training.reports import Report, checked_step
from tuner.training.stored_history import StoredHistory

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from tuner.schedules.torch_adapter import ScheduleLR


_FOLLOW: Final = (
    "Read run.lr(step) before each update or use run.scheduler(optimizer), or leave the family out of the job's space, "
    "incumbent and start"
)


class RunStopped(BaseException):
    """The run is over: let it through. Raised by `TrainingRun.report`.

    Not an `Exception`, like `KeyboardInterrupt`, so that ``except Exception`` in a training loop lets it pass. Whoever
    wants to write a last checkpoint catches it and raises it again.

    Example:
        >>> from tuner import RunStopped
        >>> def train(run):
        ...     try:
        ...         run.report(100, value=0.5)
        ...     except RunStopped:
        ...         ...  # write a last checkpoint
        ...         raise
        >>> issubclass(RunStopped, Exception)
        False
    """


class TrainingRun(ABC):
    """What a training that owns its loop gets.

    Args:
        schedule: The learning rates to train with.
        total_steps: Updates to make, at least 1.
        seed: Of the data order, at least 0.
        device: As torch names it: ``"cpu"``, ``"cuda:0"``.
        snapshot_dir: See the attribute.
        metric: See the attribute.
        evaluations: How often an evaluation is wanted; as usual for the length when absent.

    Attributes:
        schedule: The learning rates to train with.
        total_steps: Optimizer updates to make; the last report is due after the last of them.
        seed: Of the data order, and of all else that is random.
        device: Where to train, as torch names it.
        snapshot_dir: A folder for checkpoints of the code's own. When an attempt at this run is cut off, the next one
            on the same disk finds there what the last one wrote. It is deleted when the run is over.

    Example:
        `tuner.sdk.run` returns a run that works without the tuner:

        >>> import logging
        >>> from tuner.sdk import run
        >>> this = run(total_steps=100)
        >>> this.evaluate_at
        (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
        >>> this.lr(4)
        0.001
        >>> this.report(100, value=0.25)
    """

    _history_file: ClassVar[str] = ".tuner-evaluations.jsonl"
    """In ``snapshot_dir``, of a run whose rates follow its loss."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        total_steps: int,
        seed: int,
        device: str,
        snapshot_dir: Path,
        metric: Metric = DEFAULT_METRIC,
        evaluations: int | None = None,
    ) -> None:
        self.schedule = schedule
        self.total_steps = total_steps
        self.seed = seed
        self.device = device
        self.snapshot_dir = snapshot_dir
        self.metric = metric
        self._evaluations = evaluations
        self._reference_lr: float | None = None  # of the run's reference optimizer, once there is one
        self._schedulers: list[ScheduleLR] = []
        self._after_evaluations: list[Callable[[], None]] = []
        self._rates_read = 0
        self._history = StoredHistory(snapshot_dir / self._history_file)
        self._evaluate_at = evaluation_steps(total_steps, evaluations=evaluations)
        self._first_step = 0  # where this attempt begins

    @cached_property
    def lrs(self) -> NDArray[np.float64]:
        """The learning rate of every update, of shape ``(total_steps,)``.

        Raises:
            InvalidValue: The schedule follows the loss, so that its rates are not known before the run.
        """
        if self.schedule.follows_loss:
            raise InvalidValue(
                "run.lrs",
                value=self.schedule.family.name,
                allowed="of a family whose rates are known before the run",
                hint=_FOLLOW,
            )
        return self.schedule.lrs(self.total_steps)

    @property
    def evaluate_at(self) -> tuple[int, ...]:
        """After how many updates an evaluation is wanted: ascending, the last one ``total_steps``.

        20 of them; ends of epochs once `epochs` or `epochs_over` was called.
        """
        return self._evaluate_at

    def epochs(self, steps_per_epoch: int) -> Iterator[tuple[int, range]]:
        """The run by epochs: the index of each, from 0, and its updates. The last epoch is cut at ``total_steps``.

        From this call on, `evaluate_at` has ends of epochs. After `resumed` the epochs begin at that update.

        Args:
            steps_per_epoch: Optimizer updates of an epoch, at least 1: ``len(loader)``, by the batches per update
                where gradients are accumulated.

        Raises:
            InvalidValue: ``steps_per_epoch`` is no whole number of at least 1.

        Example:
            >>> from tuner.sdk import run
            >>> this = run(total_steps=10)
            >>> batches = "abcd"  # a loader
            >>> for epoch, steps in this.epochs(len(batches)):
            ...     for step, batch in zip(steps, batches):
            ...         pass  # an update
            ...     print(epoch, steps, batch, steps.stop in this.evaluate_at)
            0 range(0, 4) d True
            1 range(4, 8) d True
            2 range(8, 10) b True
        """
        self._evaluate_at = evaluation_steps(
            self.total_steps, steps_per_epoch=checked_steps_per_epoch(steps_per_epoch), evaluations=self._evaluations
        )
        return epochs(steps_per_epoch, first_step=self._first_step, total_steps=self.total_steps)

    def epochs_over(self, loader: Loader, *, batches_per_step: int = 1) -> Iterator[tuple[int, range, Any]]:
        """The run by epochs of a loader: the index of each, its updates, and what yields their batches.

        As `epochs`, for loops over a loader. For a whole epoch the batches come from the loader itself; for one that
        is cut from an iterable with fewer of them, which has the loader's length and other attributes.

        Args:
            loader: Iterated over once per epoch; has a length.
            batches_per_step: Batches per optimizer update, where gradients are accumulated. What is left of an epoch
                and makes no update counts for none.

        Raises:
            InvalidValue: ``batches_per_step`` is no whole number from 1 to ``len(loader)``.

        Example:
            >>> from tuner.sdk import run
            >>> this = run(total_steps=10)
            >>> loader = "abcd"
            >>> for epoch, steps, loader in this.epochs_over(loader):
            ...     print(epoch, steps, list(loader))
            0 range(0, 4) ['a', 'b', 'c', 'd']
            1 range(4, 8) ['a', 'b', 'c', 'd']
            2 range(8, 10) ['a', 'b']
        """
        each = steps_in(loader, batches_per_step=batches_per_step)
        self._evaluate_at = evaluation_steps(self.total_steps, steps_per_epoch=each, evaluations=self._evaluations)
        return epochs_over(
            loader, batches_per_step=batches_per_step, first_step=self._first_step, total_steps=self.total_steps
        )

    def lr(self, step: int) -> float:
        """The learning rate of update ``step``, 0-based; past the last update it stays where the schedule ends.

        Where the schedule follows the loss, read it when the reports of the evaluations before that update are made.

        Raises:
            InvalidValue: ``step`` is below 0.
        """
        rate = self._rate(step)
        self._rates_read = max(self._rates_read, int(step) + 1)
        return rate

    def scheduler(
        self, *optimizers: Optimizer, reference: Optimizer | None = None, steps_itself: bool = False
    ) -> ScheduleLR:
        """A torch scheduler over the schedule: call its ``step()`` once after every update. Needs torch.

        The largest learning rate of the run's reference optimizer follows the schedule; every other parameter group
        keeps the ratio to it that it was built with. The reference is the first optimizer of the first call, unless it
        is named, and holds for later calls: so ``scheduler(muon, adam)`` sets the same rates as a scheduler for each.

        Its ``state_dict`` resumes exactly, and refuses a checkpoint of another schedule or horizon.

        Args:
            *optimizers: At least one.
            reference: The reference optimizer of the run; need not be one of ``optimizers``.
            steps_itself: Step after every ``step()`` of the reference, or of the first of ``optimizers`` where it is
                not named, by torch's ``register_step_post_hook``. For loops whose updates are made where the
                scheduler is not known: then nothing else may call its ``step()``.

        Raises:
            InvalidValue: No parameter group of the reference has a learning rate above 0, or the run already has
                another reference.
        """
        from tuner.schedules.torch_adapter import ScheduleLR, largest_rate

        if reference is not None and self._reference_lr not in (None, largest_rate(reference)):
            raise InvalidValue(
                "reference",
                value=largest_rate(reference),
                allowed=f"the optimizer with the largest rate of {self._reference_lr:g} that the run already has",
                hint="Name it in the first call of scheduler",
            )
        scheduler = ScheduleLR(
            optimizers,
            self.schedule,
            total_steps=self.total_steps,
            reference=self._reference_lr if reference is None else reference,
            history=self._history,
        )
        self._reference_lr = scheduler.reference_lr
        self._schedulers.append(scheduler)
        if steps_itself:
            (reference or optimizers[0]).register_step_post_hook(lambda *_: scheduler.step())
        return scheduler

    @property
    def _updates_scheduled(self) -> tuple[int, ...]:
        """Updates by the count of each scheduler of the run."""
        return tuple(int(one.last_epoch) for one in self._schedulers)

    @property
    def _updates_seen(self) -> int | None:
        """Updates by its schedulers, or else by the rates that were read; ``None`` where neither was used."""
        return min(self._updates_scheduled, default=0) or self._rates_read or None

    def count_rates(self, updates: int) -> None:
        """Note up to which update another process has used the learning rates of this run."""
        self._rates_read = max(self._rates_read, updates)

    def resumed(self, step: int) -> None:
        """Say that training goes on from a checkpoint taken after ``step`` updates, so that they are not counted again.

        Raises:
            InvalidValue: ``step`` outside [0, total_steps].
        """
        self._first_step = checked_step(step, total_steps=self.total_steps)
        self._history.rewind(step)
        self._refresh_schedulers()

    def follow(self, step: int, *, value: SupportsFloat) -> None:
        """Take account of an evaluation that another process of the training reports.

        Only a schedule that follows the loss needs it: each of several processes has to know every value, and all of
        them the same one. `report` does it by itself in the process that it is called in.

        Args:
            step: Updates done.
            value: Of the workload's metric, as in `report`.
        """
        if self.schedule.follows_loss:
            self._history.add(int(step), loss=self.metric.loss(float(value)))
            self._refresh_schedulers()

    def _check_rates_used(self, report: Report) -> None:
        """Refuse reports of a training whose rates cannot have followed them.

        Raises:
            InvalidValue: The schedule follows the loss, and the training has used no rate of it.
        """
        if self.schedule.follows_loss and report.step > 0 and self._updates_seen is None:
            raise InvalidValue(
                "the learning rate",
                value="rates from elsewhere",
                allowed=f"read from the run, as those of {self.schedule.family.name} follow its reports",
                hint=_FOLLOW,
            )

    def _follow_report(self, report: Report) -> None:
        """As `follow`, and store the evaluation for a later attempt at the run."""
        if self.schedule.follows_loss:
            self._history.store(report.step, loss=self.metric.loss(report.value))
            self._refresh_schedulers()

    def _rate(self, step: int) -> float:
        if self.schedule.follows_loss:
            self._history.check(step)
        return self.schedule.lr(step, total_steps=self.total_steps, losses=self._history.losses)

    def call_after_evaluations(self, call: Callable[[], None]) -> None:
        """Have a function called once an evaluation is known that the rates follow, as by a scheduler that is not ours.

        Args:
            call: Sets the rate of the next update again, by `lr`. Never called where the schedule follows no loss.
        """
        self._after_evaluations.append(call)

    def _refresh_schedulers(self) -> None:
        if self.schedule.follows_loss:
            for scheduler in self._schedulers:
                scheduler.refresh()
            for call in self._after_evaluations:
                call()

    @abstractmethod
    def report(self, step: int, *, value: SupportsFloat, train_loss: SupportsFloat | None = None) -> None:
        """Report an evaluation. Any number of them, in ascending order; the one at ``total_steps`` is the result.

        Args:
            step: Updates done, in [0, total_steps].
            value: Of the workload's metric, as people read it (an accuracy is not negated): a number, or a tensor of
                one element.
            train_loss: Mean training loss since the last report. With a metric that stays finite when the model does
                not, such as an accuracy, this is how a divergence is found.

        Raises:
            RunStopped: The run is over: it was stopped, it has diverged, or its result is in and this report lies
                beyond the schedule. Every later report raises too.
            InvalidValue: ``step`` is no whole number in its range, or below that of an earlier report, or has another
                value than an earlier report at the same step, or counts epochs; or a value is no number.
        """

    @abstractmethod
    def finish(self, step: int, *, value: SupportsFloat, train_loss: SupportsFloat | None = None) -> None:
        """Report the result of a training that ends early by a rule of its own, such as early stopping.

        The value counts as the result at the horizon; that of the best checkpoint, where the training goes back to it.
        Let the code return after it.

        Args:
            step: Updates done, in [1, total_steps], at least those of the last report.
            value: Of the workload's metric, as in `report`; it may differ from that of a report at the same step.
            train_loss: As in `report`.

        Raises:
            RunStopped: The run is over already, or the value is not finite.
            InvalidValue: As in `report`.
        """
