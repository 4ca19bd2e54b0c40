"""How many times the steps a schedule would need for the loss of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuner.search.configuration import Configuration
from tuner.search.pruning.forecast import Curve

MAX_FACTOR: Final = 10.0
"""Factors are reported from 1 / 10 to 10: what lies outside is an extrapolation that no curve supports."""
_SEED_SHARE: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Normal:
    """An expected loss and its uncertainty."""

    mean: float
    std: float


@dataclass(frozen=True, kw_only=True)
class StepsFactor:
    """How many times the horizon's steps a rival would need for another schedule's loss."""

    factor: float
    """Above 1: the other is better. `MAX_FACTOR` stands for so many times and more."""
    low: float
    """Of the 95 % interval."""
    high: float | None
    """``None``: not even `MAX_FACTOR` times the steps are certain to reach that loss, perhaps no number of steps is."""
    basis: str
    """From which data, as a clause: ``"the curves of 7 runs"``."""


class LossOverSteps:
    """The expected loss at the end of a run as a function of its length, the schedule stretched to that length.

    Args:
        curves: Complete runs, at the horizon and at other lengths where there are any.
        total_steps: The horizon.
    """

    def __init__(self, curves: Sequence[Curve], *, total_steps: int) -> None:
        self._curves = curves
        self._total_steps = total_steps

    def factor(self, *, rival: Configuration, rival_loss: Normal, loss: Normal) -> StepsFactor | None:
        """How many times the steps the rival would need for the loss; ``None`` where the curves cannot say."""
        return None

    def margin(self, *, rival: Configuration, rival_loss: float, worth: float) -> float | None:
        """The loss that ``worth`` more steps (0.05: five per cent) would gain the rival; ``None`` as for `factor`."""
        return None


def noise_margin(noise_std: float) -> float:
    """The margin in units of the loss where steps cannot be compared: a tenth of the spread over seeds."""
    return _SEED_SHARE * noise_std
