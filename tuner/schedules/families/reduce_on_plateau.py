"""Reduce on plateau: the one family whose rates follow the validation loss instead of the update."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from tuner.schedules.families.base import BaseFamily
from tuner.schedules.families.classic_decays import MultiStep
from tuner.schedules.values import Array, Finite, Losses, NormalizedZero

_USUAL_EVALUATIONS: Final = 20
"""Of a run that chooses none itself."""
_STALLS_AT: Final = 0.5
_LAST_START: Final = 0.9
"""Fractions of the run, of the stand-in: where its loss stops falling, and until where it is reduced at the latest."""
_MOST_REDUCTIONS: Final = 20


class ReduceOnPlateau(BaseFamily):
    """The peak, times ``factor`` whenever the validation loss has stopped falling.

    It reduces as ``torch.optim.lr_scheduler.ReduceLROnPlateau`` does, bit for bit: in mode ``"min"`` for losses, and in
    mode ``"max"`` for the values of a metric that is maximized, which are negative losses here. Unlike torch's mode
    ``"min"``, its relative threshold also works for losses below 0.

    Evaluations count from the first one after an update beyond the warm-up.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110, while every evaluation
        improves; then with evaluations that do not:

        >>> from tuner.schedules import ReduceOnPlateau, Schedule, Warmup
        >>> family = ReduceOnPlateau(factor=0.5, patience=1)
        >>> schedule = Schedule(peak_lr=1.0, family=family, warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 1.0, 1.0]
        >>> losses = [(20, 3.0), (40, 2.0), (60, 2.0), (80, 2.0), (100, 1.0)]
        >>> [schedule.lr(u, total_steps=110, losses=losses) for u in (60, 79, 80, 109)]
        [1.0, 1.0, 0.5, 0.5]
    """

    follows_loss: ClassVar[bool] = True
    name: Literal["reduce_on_plateau"] = "reduce_on_plateau"
    factor: Annotated[Finite, Field(gt=0, lt=1)] = 0.1
    """The factor of a reduction, in (0, 1)."""
    patience: int = Field(default=10, ge=0, le=1_000_000, strict=True)
    """Consecutive evaluations without improvement that do not reduce the rate; the next one does."""
    cooldown: int = Field(default=0, ge=0, le=1_000_000, strict=True)
    """Evaluations after a reduction that do not count as evaluations without improvement."""
    threshold: Annotated[Finite, Field(ge=0), NormalizedZero] = 1e-4
    """Smallest decrease of the loss that counts as an improvement, exclusive."""
    threshold_mode: Literal["relative", "absolute"] = "relative"
    """Whether the threshold is a fraction of the absolute value of the best loss, or a difference."""
    eps: Annotated[Finite, Field(ge=0), NormalizedZero] = 1e-8
    """A reduction of the rate by no more than this is not made; a rate, as in torch, and not a fraction."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """While every evaluation improves; see `BaseFamily.factors`."""
        return np.ones_like(t)

    def rates(self, t: Array, *, n: int, peak_lr: float, floor: float, losses: Losses = ()) -> Array:
        """See `BaseFamily.rates`."""
        counted = [(step, loss) for step, loss in losses if step > 0]
        levels = np.array([peak_lr, *self._levels((loss for _, loss in counted), peak_lr=peak_lr, floor=floor)])
        return levels[np.searchsorted([step for step, _ in counted], t, side="right")]

    def _levels(self, losses: Iterable[float], *, peak_lr: float, floor: float) -> Iterator[float]:
        """The rate after each evaluation."""
        rate, lowest, best = peak_lr, floor * peak_lr, math.inf
        bad = cooldown_left = 0
        for loss in losses:
            if self._improves(loss, best=best):
                best, bad = loss, 0
            else:
                bad += 1
            if cooldown_left > 0:
                cooldown_left, bad = cooldown_left - 1, 0
            if bad > self.patience:
                cooldown_left, bad = self.cooldown, 0
                # From the last rate and not as a power of the factor: rounded as torch's is.
                reduced = max(rate * self.factor, lowest)
                rate = reduced if rate - reduced > self.eps else rate
            yield rate

    def _improves(self, loss: float, *, best: float) -> bool:
        if not math.isfinite(loss):
            return False
        if math.isinf(best):
            return True
        if self.threshold_mode == "absolute":
            return loss < best - self.threshold
        return loss < best * (1.0 + math.copysign(self.threshold, -best))

    @property
    def stand_in(self) -> MultiStep:
        """Reductions at the usual updates: of 20 evaluations, those of the second half do not improve the loss."""
        first = min(_STALLS_AT + (self.patience + 1) / _USUAL_EVALUATIONS, _LAST_START)
        between = (self.patience + 1 + self.cooldown) / _USUAL_EVALUATIONS
        places = (first + reduction * between for reduction in range(_MOST_REDUCTIONS))
        return MultiStep(gamma=self.factor, milestones=tuple(round(place, 6) for place in places if place <= 1.0))

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"reduce on plateau x {self.factor:.3g}, patience {self.patience}"
