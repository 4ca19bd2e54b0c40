"""The training loop: one learning rate per update, evaluations, the divergence guard.

The engine knows nothing about models, files or messages: it drives a `StepwiseTraining` and tells a `Listener`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.errors import WorkloadError
from tuner.jobs.records import CurvePoint
from tuner.training.cadence import divergence_limit, evaluation_steps
from tuner.training.protocol import Outcome, Verdict
from tuner.training.randomness import random_state_kept
from tuner.training.stepwise import StepwiseTraining

GUARD_WINDOW = 32
"""Updates between two looks at the training losses on CUDA, where a look waits for the device."""


@dataclass(kw_only=True)
class Progress:
    """Where a run stands. All but ``unreported`` is part of its snapshots."""

    step: int = 0
    """Updates done from the start of the schedule."""
    start_loss: float | None = None
    """Validation loss before the first update; ``None`` until it was taken."""
    loss_sum: float = 0.0
    """Of the training losses since the last evaluation."""
    loss_count: int = 0
    unreported: int = 0
    """Updates executed since the listener was last told."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a run ended."""

    outcome: Outcome
    step: int
    loss: float | None = None
    """Validation loss at the end, for `Outcome.SUCCEEDED`."""
    reason: str = ""


class Listener(Protocol):
    """Hears about a run and decides about its snapshots."""

    def evaluated(self, point: CurvePoint, *, updates: int) -> Verdict:
        """An evaluation, and the updates not told before; training waits for the verdict."""

    def snapshot_due(self) -> bool:
        """Whether a snapshot should be written after this update."""

    def save_snapshot(self, training: StepwiseTraining, *, progress: Progress) -> None:
        """Write a snapshot; once it is told, ``progress.unreported`` is 0."""


class _Diverged(Exception):
    def __init__(self, reason: str, *, step: int) -> None:
        self.reason = reason
        self.step = step


class Engine:
    """Trains one run to its end.

    Args:
        training: Built, and loaded with the snapshot's state when the run is taken up again.
        lrs: Learning rate of every update, from the first one of the schedule.
        progress: Where to start; kept up to date while training, also when an error ends it.
        device: Where the training lives.
        listener: Told about evaluations, asked for snapshots.
    """

    def __init__(
        self,
        training: StepwiseTraining,
        *,
        lrs: NDArray[np.float64],  # (total_steps,)
        progress: Progress,
        device: torch.device,
        listener: Listener,
    ) -> None:
        self._training = training
        self._lrs = lrs
        self._progress = progress
        self._device = device
        self._listener = listener
        self._evaluations = frozenset(evaluation_steps(len(lrs)))
        self._guard_window = GUARD_WINDOW if device.type == "cuda" else 1
        self._unsettled: list[float | Tensor] = []  # losses not looked at yet, oldest first

    def run(self) -> Result:
        """Train to the end, to divergence, or until a verdict says stop.

        Raises:
            WorkloadError: A loss is no number, or the untrained model's validation loss is not finite.
            BaseException: Whatever the training raises.
        """
        try:
            return self._run()
        except _Diverged as diverged:
            return Result(outcome=Outcome.DIVERGED, step=diverged.step, reason=diverged.reason)

    def _run(self) -> Result:
        progress, total = self._progress, len(self._lrs)
        loss = math.nan
        if progress.start_loss is None:
            progress.start_loss = loss = self._first_validation()
            if self._told_to_stop(loss):
                return Result(outcome=Outcome.STOPPED, step=0)
        for step in range(progress.step, total):
            self._unsettled.append(self._training.train_step(step, float(self._lrs[step])))
            progress.step = step + 1
            progress.unreported += 1
            if len(self._unsettled) >= self._guard_window:
                self._settle()
            if progress.step in self._evaluations:
                self._settle()
                loss = self._guarded_validation()
                if self._told_to_stop(loss) and progress.step < total:
                    return Result(outcome=Outcome.STOPPED, step=progress.step)
            if progress.step < total and self._listener.snapshot_due():
                self._save()
        return Result(outcome=Outcome.SUCCEEDED, step=total, loss=loss)

    def _settle(self) -> None:
        """Look at the losses not looked at yet: add them to the running mean, end the run at one that is not finite."""
        first = self._progress.step - len(self._unsettled)
        for step, raw in enumerate(self._unsettled, start=first):
            loss = _number(raw, what="train_step")
            if not math.isfinite(loss):
                raise _Diverged(f"the training loss of update {step} is {loss}", step=step)
            self._progress.loss_sum += loss
            self._progress.loss_count += 1
        self._unsettled.clear()

    def _first_validation(self) -> float:
        loss = self._validate()
        if not math.isfinite(loss):
            raise WorkloadError(f"the validation loss before the first update is {loss}; it must be a finite number")
        return loss

    def _guarded_validation(self) -> float:
        loss, step = self._validate(), self._progress.step
        if not math.isfinite(loss):
            raise _Diverged(f"the validation loss after {step} updates is {loss}", step=step)
        start_loss = self._progress.start_loss
        if start_loss is not None and loss > (limit := divergence_limit(start_loss)):
            story = f"it started at {start_loss:.4g}, and {limit:.4g} is the limit"
            raise _Diverged(f"the validation loss after {step} updates is {loss:.4g}; {story}", step=step)
        return loss

    def _validate(self) -> float:
        """The validation loss; the random numbers it draws are not missing from the training."""
        with random_state_kept(self._device):
            return _number(self._training.validate(), what="validate")

    def _told_to_stop(self, val_loss: float) -> bool:
        """Tell the listener about an evaluation, start the next mean, write the snapshot that the verdict asks for."""
        progress = self._progress
        point = CurvePoint(
            step=progress.step,
            lr=float(self._lrs[max(progress.step - 1, 0)]),
            train_loss=progress.loss_sum / progress.loss_count if progress.loss_count else None,
            val_loss=val_loss,
        )
        verdict = self._listener.evaluated(point, updates=progress.unreported)
        progress.loss_sum, progress.loss_count, progress.unreported = 0.0, 0, 0
        if verdict.snapshot and progress.step < len(self._lrs):
            self._save()
        return verdict.stop

    def _save(self) -> None:
        self._settle()
        self._listener.save_snapshot(self._training, progress=self._progress)


def _number(value: float | Tensor, *, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WorkloadError(f"{what} must give a number or a scalar tensor, got {type(value).__name__}") from error
