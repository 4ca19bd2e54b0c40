"""Reduce on plateau: the one schedule that depends on the validation loss instead of the update."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from tuner.errors import InvalidValue
from tuner.schedules.values import Finite, NormalizedZero, Positive, ProperFraction, Value


class ReduceOnPlateauSettings(Value):
    """Settings of a `ReduceOnPlateau`: frozen, and JSON like every other value."""

    version: Literal[1] = 1
    peak_lr: Positive
    """The learning rate before the first reduction, above 0."""
    factor: Annotated[Finite, Field(gt=0, lt=1)] = 0.1
    """The factor of a reduction, in (0, 1)."""
    patience: int = Field(default=10, ge=0, strict=True)
    """Consecutive evaluations without improvement that do not reduce the rate; the next one does."""
    cooldown: int = Field(default=0, ge=0, strict=True)
    """Evaluations after a reduction that do not count as evaluations without improvement."""
    threshold: Annotated[Finite, Field(ge=0), NormalizedZero] = 1e-4
    """Smallest decrease of the loss that counts as an improvement, exclusive."""
    threshold_mode: Literal["relative", "absolute"] = "relative"
    """Whether the threshold is a fraction of the absolute value of the best loss, or a difference."""
    floor: ProperFraction = 0.0
    """Fraction of the peak in [0, 1) that bounds the rate from below."""
    eps: Annotated[Finite, Field(ge=0), NormalizedZero] = 1e-8
    """A reduction of the rate by no more than this is not made; a rate, as in torch, and not a fraction."""


class _State(Value):
    settings: ReduceOnPlateauSettings
    reductions: int = Field(ge=0)
    best: float | None
    bad_evaluations: int = Field(ge=0)
    cooldown_left: int = Field(ge=0)


class ReduceOnPlateau:
    """Lowers the learning rate when the validation loss stops falling.

    It depends on measured losses, so it has a state, and cannot be computed in advance, compressed, or branched from
    another schedule's run. It behaves as ``torch.optim.lr_scheduler.ReduceLROnPlateau`` in mode ``"min"``, except that
    the relative threshold also works for negative losses, where torch's has the wrong sign.

    Args:
        settings: The settings.

    Example:
        >>> from tuner.schedules import ReduceOnPlateau, ReduceOnPlateauSettings
        >>> schedule = ReduceOnPlateau(ReduceOnPlateauSettings(peak_lr=1.0, factor=0.5, patience=1))
        >>> [schedule.observe(loss) for loss in (3.0, 2.0, 2.0, 2.0, 1.0)]
        [1.0, 1.0, 1.0, 0.5, 0.5]
    """

    is_compressible = False

    def __init__(self, settings: ReduceOnPlateauSettings) -> None:
        self._state = _State(settings=settings, reductions=0, best=None, bad_evaluations=0, cooldown_left=0)

    @property
    def settings(self) -> ReduceOnPlateauSettings:
        """The settings."""
        return self._state.settings

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return self._lr_after(self._state.reductions)

    def _lr_after(self, reductions: int) -> float:
        settings = self.settings
        return settings.peak_lr * max(settings.factor**reductions, settings.floor)

    def observe(self, loss: float) -> float:
        """Update the state with the validation loss of one evaluation; lower is better.

        Args:
            loss: Any number; NaN and infinity are no improvement.

        Returns:
            The learning rate of the next updates.
        """
        state, settings = self._state, self.settings
        best, bad, cooldown_left = state.best, state.bad_evaluations, state.cooldown_left
        if self._improves(loss):
            best, bad = loss, 0
        else:
            bad += 1
        if cooldown_left > 0:
            cooldown_left, bad = cooldown_left - 1, 0
        reduce = bad > settings.patience
        lowers = reduce and self.lr - self._lr_after(state.reductions + 1) > settings.eps
        self._state = _State(
            settings=settings,
            reductions=state.reductions + lowers,
            best=best,
            bad_evaluations=0 if reduce else bad,
            cooldown_left=settings.cooldown if reduce else cooldown_left,
        )
        return self.lr

    def state_dict(self) -> dict[str, Any]:
        """The state as JSON values."""
        return self._state.model_dump(mode="json")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            pydantic.ValidationError: The value is not such a state.
            InvalidValue: The state belongs to other settings.
        """
        loaded = _State.model_validate(dict(state))
        if loaded.settings != self.settings:
            raise InvalidValue("settings", value=loaded.settings.model_dump(), allowed=f"{self.settings.model_dump()}")
        self._state = loaded

    def _improves(self, loss: float) -> bool:
        best = self._state.best
        if not math.isfinite(loss):
            return False
        if best is None:
            return True
        relative = self.settings.threshold_mode == "relative"
        return loss < best - self.settings.threshold * (abs(best) if relative else 1.0)
