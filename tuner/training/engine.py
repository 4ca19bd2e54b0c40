"""The training loop: one learning rate per update, evaluations, the divergence check.

The engine knows nothing about models, files or messages: it drives a `StepwiseTraining` and reports to a `Listener`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.errors import WorkloadError
from tuner.jobs.records import CurvePoint
from tuner.metric import Metric
from tuner.training.evaluation import Diverged, to_curve_point
from tuner.training.evaluation_steps import evaluation_steps
from tuner.training.protocol import Directive, Outcome
from tuner.training.randomness import preserve_random_state
from tuner.training.stepwise import RunFinished, StepwiseTraining

GUARD_WINDOW = 32
"""Updates between two reads of the training losses on CUDA, where a read waits for the device."""


@dataclass(kw_only=True)
class Progress:
    """Where a run stands: ``unreported`` is no part of its snapshots, nor ``shared`` of what other runs go on from."""

    step: int = 0
    """Updates done from the start of the schedule."""
    start_loss: float | None = None
    """Loss of the first evaluation (lower is better, whatever the metric); ``None`` until it was taken."""
    loss_sum: float = 0.0
    """Of the training losses since the last evaluation; after a branch, since the last one of the run that was left. So
    the first mean after a branch may cover other updates than that of a run that was trained from its start."""
    loss_count: int = 0
    points: list[CurvePoint] = field(default_factory=list)
    """The evaluations so far."""
    shared: int = 0
    """Updates done by another run, and never executed for this one."""
    unreported: int = 0
    """Updates executed since the last report to the listener."""
    rates_read: int | None = None
    """Updates by the learning rates that code which owns its loop has used; ``None`` where that is not known."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a run ended."""

    outcome: Outcome
    step: int
    loss: float | None = None
    """At the end, lower is better whatever the metric; for `Outcome.SUCCEEDED`."""
    reason: str = ""


class Evaluations(Protocol):
    """Receives the reports of a run, and decides whether it goes on."""

    def evaluated(self, point: CurvePoint, *, updates: int, final: bool) -> Directive:
        """An evaluation, and the updates not reported before; training waits for the directive.

        Args:
            point: The evaluation.
            updates: Updates not reported before.
            final: Whether it is the result of a training that ends early by its own rule.
        """


class Listener(Evaluations, Protocol):
    """Also decides about a run's snapshots, and keeps its state for others."""

    def snapshot_due(self) -> bool:
        """Whether a snapshot should be written after this update."""

    def save_snapshot(self, training: StepwiseTraining, *, progress: Progress) -> None:
        """Write a snapshot; once it is reported, ``progress.unreported`` is 0."""

    def branch_reached(self, training: StepwiseTraining, *, progress: Progress) -> None:
        """The run stands at one of its branch points."""


class Engine:
    """Trains one run to its end.

    Args:
        training: Built, and loaded with a state when the run is resumed or continues another one.
        lrs: Learning rate of every update, from the first one of the schedule.
        lrs_after: Returns them after the evaluations so far, for a schedule that follows the loss; when absent, they
            stay.
        progress: Where to start; updated while training, also when an error ends it.
        metric: What ``training.validate`` gives.
        device: Where the training lives.
        listener: Receives evaluations and branch points, writes snapshots.
        branch_points: After how many updates the listener is notified, each in [1, total_steps]. An
            evaluation that falls there comes before it.
        evaluations: How often the run is evaluated; as usual for its length when absent.
        on_update: Called after each update with the number done.
    """

    def __init__(
        self,
        training: StepwiseTraining,
        *,
        lrs: NDArray[np.float64],  # (total_steps,)
        progress: Progress,
        metric: Metric,
        device: torch.device,
        listener: Listener,
        lrs_after: Callable[[Sequence[CurvePoint]], NDArray[np.float64]] | None = None,
        branch_points: Collection[int] = (),
        evaluations: int | None = None,
        on_update: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._training = training
        self._lrs = lrs
        self._lrs_after = lrs_after
        self._progress = progress
        self._metric = metric
        self._device = device
        self._listener = listener
        self._branch_points = set(branch_points)
        self._on_update = on_update
        self._evaluations = frozenset(evaluation_steps(len(lrs), evaluations=evaluations))
        self._guard_window = GUARD_WINDOW if device.type == "cuda" else 1
        self._unsettled: list[float | Tensor] = []  # losses not read yet, oldest first

    def run(self) -> Result:
        """Train to the end, to divergence, or until a directive says stop.

        Raises:
            WorkloadError: A loss is no number, or the metric of the untrained model is not finite.
            BaseException: Any error of the training.
        """
        try:
            try:
                return self._run()
            except RunFinished as finished:
                return self._finish(finished)
        except Diverged as diverged:
            return Result(outcome=Outcome.DIVERGED, step=diverged.step, reason=diverged.reason)

    def _run(self) -> Result:
        progress, total = self._progress, len(self._lrs)
        if progress.start_loss is None:
            if self._stopped_by_evaluation():
                return Result(outcome=Outcome.STOPPED, step=0)
        elif not self._is_evaluated() and self._stopped_at_evaluation():  # the run that was left had none here
            return Result(outcome=Outcome.STOPPED, step=progress.step)
        for step in range(progress.step, total):
            self._unsettled.append(self._training.train_step(step, float(self._lrs[step])))
            progress.step = step + 1
            progress.unreported += 1
            self._on_update(progress.step)
            if len(self._unsettled) >= self._guard_window:
                self._settle()
            if self._stopped_at_evaluation():
                return Result(outcome=Outcome.STOPPED, step=progress.step)
            if progress.step in self._branch_points:
                self._settle()
                self._listener.branch_reached(self._training, progress=progress)
            if progress.step < total and self._listener.snapshot_due():
                self._save()
        return Result(outcome=Outcome.SUCCEEDED, step=total, loss=progress.points[-1].val_loss)

    def _finish(self, finished: RunFinished) -> Result:
        """The end of a training that ends early by its own rule.

        Raises:
            WorkloadError: It has made no update.
            Diverged: Its result is not finite.
        """
        progress = self._progress
        if progress.step == 0:
            raise WorkloadError("the training ended by its own rule (RunFinished) before its first update")
        self._settle()
        value = None if finished.value is None else _number(finished.value, what="RunFinished")
        self._evaluate(value, final=True)
        return Result(outcome=Outcome.SUCCEEDED, step=progress.step, loss=progress.points[-1].val_loss)

    def _stopped_at_evaluation(self) -> bool:
        """Evaluate, where the run is due for it; whether it must stop. At its end that comes too late."""
        if self._progress.step not in self._evaluations:
            return False
        self._settle()
        return self._stopped_by_evaluation() and self._progress.step < len(self._lrs)

    def _is_evaluated(self) -> bool:
        points = self._progress.points
        return bool(points) and points[-1].step == self._progress.step

    def _settle(self) -> None:
        """Read the losses not read yet: add them to the running mean, end the run at one that is not finite."""
        first = self._progress.step - len(self._unsettled)
        for step, raw in enumerate(self._unsettled, start=first):
            loss = _number(raw, what="train_step")
            if not math.isfinite(loss):
                raise Diverged(f"the training loss of update {step} is {loss}", step=step)
            self._progress.loss_sum += loss
            self._progress.loss_count += 1
        self._unsettled.clear()

    def _validate(self) -> float:
        """The metric's value; the random numbers it draws are not missing from the training."""
        with preserve_random_state(self._device):
            return _number(self._training.validate(), what="validate")

    def _stopped_by_evaluation(self) -> bool:
        """Evaluate, and write the snapshot that the directive requests; return whether it says stop.

        Raises:
            Diverged: The run has diverged.
        """
        directive = self._evaluate()
        self._branch_points.update(directive.branch_points)
        if directive.snapshot and self._progress.step < len(self._lrs):
            self._save()
        return directive.stop

    def _evaluate(self, value: float | None = None, *, final: bool = False) -> Directive:
        """Report an evaluation, and start the next mean.

        Args:
            value: Of the metric; the training validates when absent.
            final: Whether the training ends with it by its own rule.

        Raises:
            Diverged: The run has diverged.
        """
        progress = self._progress
        point = to_curve_point(
            self._validate() if value is None else value,
            step=progress.step,
            lr=float(self._lrs[max(progress.step - 1, 0)]),
            train_loss=progress.loss_sum / progress.loss_count if progress.loss_count else None,
            metric=self._metric,
            start_loss=progress.start_loss,
        )
        if progress.start_loss is None:
            progress.start_loss = point.val_loss
        progress.points.append(point)
        if self._lrs_after is not None:
            self._lrs = self._lrs_after(progress.points)
        directive = self._listener.evaluated(point, updates=progress.unreported, final=final)
        progress.loss_sum, progress.loss_count, progress.unreported = 0.0, 0, 0
        return directive

    def _save(self) -> None:
        self._settle()
        self._listener.save_snapshot(self._training, progress=self._progress)


def _number(value: float | Tensor, *, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WorkloadError(f"{what} must give a number or a scalar tensor, got {type(value).__name__}") from error
