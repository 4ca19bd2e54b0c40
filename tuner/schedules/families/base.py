"""The interface of a family of schedules."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

from tuner.schedules.lengths import Epochs, Updates, scaled
from tuner.schedules.values import Array, Losses, Value


class ScalableValue(Value):
    """A part of a schedule that may hold lengths."""

    def scaled(self, ratio: float) -> Self:
        """The same part in a run ``ratio`` times as long: lengths in updates or epochs scale, everything else stays."""
        fields = {name: _scaled(getattr(self, name), ratio=ratio) for name in type(self).model_fields}
        return self.model_copy(update=fields)


class BaseFamily(ScalableValue):
    """The shape of a schedule after the warm-up."""

    name: str
    follows_loss: ClassVar[bool] = False
    """Whether the rates depend on the losses of the run, and not on the update alone."""

    @abstractmethod
    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """Fractions of the peak.

        Args:
            t: Updates since the end of the warm-up, ascending, each in [0, n]; n is the end of the run. ``[k]``.
            n: Updates after the warm-up, at least 1.
            floor: Fraction of the peak in [0, 1) that bounds the values from below; decays to the floor end at it.

        Returns:
            float64 ``[k]``, each in [0, 1].

        Raises:
            InvalidValue: A length, a position or a count does not fit into n updates.
        """

    def rates(self, t: Array, *, n: int, peak_lr: float, floor: float, losses: Losses = ()) -> Array:
        """The learning rates; the arguments are those of `factors`, and these.

        Args:
            t: See `factors`.
            n: See `factors`.
            peak_lr: The peak.
            floor: See `factors`.
            losses: Evaluations, by the updates since the end of the warm-up; those before it do not count. Without
                effect on a family that does not follow the loss.
        """
        return peak_lr * self.factors(t, n=n, floor=floor)

    def resolved(self, n: int, *, of: int) -> Self:
        """The same family with as many of its cycles as n updates can show; itself where it has none.

        Args:
            n: Updates after the warm-up of the run that should show them.
            of: Updates after the warm-up of the run that the family is for.
        """
        return self

    @property
    def starts_at_peak(self) -> bool:
        """Whether the value at ``t = 0`` is the peak, which a warm-up requires."""
        return True

    @property
    def stand_in(self) -> BaseFamily:
        """The family by which models compare it with others: itself, unless it follows the loss."""
        return self

    @property
    def label(self) -> str:
        """A short description for people, without the peak, the warm-up and the floor."""
        return self.name.replace("_", " ")


def _scaled(value: Any, *, ratio: float) -> Any:
    match value:
        case Updates() | Epochs():
            return scaled(value, ratio=ratio)
        case ScalableValue():
            return value.scaled(ratio)
        case tuple():
            return tuple(_scaled(item, ratio=ratio) for item in value)
        case _:
            return value
