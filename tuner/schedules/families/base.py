"""The interface of a family of schedules."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

from tuner.schedules.lengths import Epochs, Updates, scaled
from tuner.schedules.values import Array, Value


class ScalableValue(Value):
    """A part of a schedule that may hold lengths."""

    def scaled(self, ratio: float) -> Self:
        """The same part in a run ``ratio`` times as long: lengths in updates or epochs scale, everything else stays."""
        fields = {name: _scaled(getattr(self, name), ratio=ratio) for name in type(self).model_fields}
        return self.model_copy(update=fields)


class BaseFamily(ScalableValue):
    """The shape of a schedule after the warm-up."""

    name: str

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

    def resolved(self, n: int) -> Self:
        """The same family with as many of its cycles as n updates can show; itself where it has none."""
        return self

    @property
    def starts_at_peak(self) -> bool:
        """Whether the value at ``t = 0`` is the peak, which a warm-up requires."""
        return True

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
