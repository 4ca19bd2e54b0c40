"""What a family of schedules is."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

from tuner.schedules.lengths import Epochs, Updates, scaled
from tuner.schedules.values import Array, Value


class ScalableValue(Value):
    """A piece of a schedule that may hold spans."""

    def scaled(self, ratio: float) -> Self:
        """The same piece in a stretch ``ratio`` times as long: spans in updates or epochs scale, the rest stays."""
        fields = {name: _scaled(getattr(self, name), ratio=ratio) for name in type(self).model_fields}
        return self.model_copy(update=fields)


class BaseFamily(ScalableValue):
    """A shape of the stretch after the warm-up."""

    name: str

    @abstractmethod
    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """Fractions of the peak.

        Args:
            t: Updates since the end of the warm-up, ascending, each in [0, n]; n stands for the end of the run.
            n: Updates of the stretch, at least 1.
            floor: Fraction of the peak in [0, 1) below which no value lies, and where a descent ends.

        Raises:
            InvalidValue: A length or position does not fit into n updates.
        """

    @property
    def starts_at_peak(self) -> bool:
        """Whether the value at ``t = 0`` is the peak, as a warm-up before it takes for granted."""
        return True

    @property
    def label(self) -> str:
        """A few words for people, without the peak, the warm-up and the floor."""
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
