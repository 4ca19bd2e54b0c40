"""Reduce on plateau: the one kind of schedule that follows the validation loss instead of the update."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from tuner.errors import InvalidValue
from tuner.schedules.values import Finite, Positive, Value


class ReduceOnPlateauSettings(Value):
    """How a `ReduceOnPlateau` reacts: frozen, and JSON like every other value."""

    version: Literal[1] = 1
    peak_lr: Positive
    """The learning rate until the first reduction."""
    factor: Annotated[Finite, Field(gt=0, lt=1)] = 0.1
    """What a reduction multiplies the rate by."""
    patience: int = Field(default=10, ge=0, strict=True)
    """Evaluations in a row without improvement that are borne; the next one reduces the rate."""
    cooldown: int = Field(default=0, ge=0, strict=True)
    """Evaluations after a reduction in which none counts as without improvement."""
    threshold: Annotated[Finite, Field(ge=0)] = 1e-4
    """What an improvement must exceed."""
    threshold_mode: Literal["relative", "absolute"] = "relative"
    """Whether the threshold is a share of the best loss's size, or a difference."""
    floor: Annotated[Finite, Field(ge=0, lt=1)] = 0.0
    """Fraction of the peak below which the rate does not fall."""


class _State(Value):
    settings: ReduceOnPlateauSettings
    reductions: int = Field(ge=0)
    best: float | None
    bad_evaluations: int = Field(ge=0)
    cooldown_left: int = Field(ge=0)


class ReduceOnPlateau:
    """Lowers the learning rate when the validation loss stops falling.

    It depends on what was measured, so it has a state, and cannot be computed ahead, compressed, or branched from
    another schedule's run. It behaves as ``torch.optim.lr_scheduler.ReduceLROnPlateau`` in mode ``"min"``, except that
    the relative threshold also works for negative losses, where torch's has the wrong sign.

    Args:
        settings: How to react.
    """

    is_compressible = False

    def __init__(self, settings: ReduceOnPlateauSettings) -> None:
        self._state = _State(settings=settings, reductions=0, best=None, bad_evaluations=0, cooldown_left=0)

    @property
    def settings(self) -> ReduceOnPlateauSettings:
        """How it reacts."""
        return self._state.settings

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        settings = self.settings
        return settings.peak_lr * max(settings.factor**self._state.reductions, settings.floor)

    def observe(self, loss: float) -> float:
        """Take the validation loss of one evaluation; lower is better.

        Args:
            loss: Any number; NaN and infinity are no improvement.

        Returns:
            The learning rate from now on.
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
        self._state = _State(
            settings=settings,
            reductions=state.reductions + reduce,
            best=best,
            bad_evaluations=0 if reduce else bad,
            cooldown_left=settings.cooldown if reduce else cooldown_left,
        )
        return self.lr

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, as JSON values."""
        return self._state.model_dump(mode="json")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state that `state_dict` gave.

        Raises:
            pydantic.ValidationError: It is not such a state.
            InvalidValue: It belongs to other settings.
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
