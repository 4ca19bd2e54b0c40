"""A learning-rate schedule as a value, which studies search for, stores keep and trainings follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from tuner.errors import InvalidValue
from tuner.schedules.families import Family
from tuner.schedules.lengths import percent
from tuner.schedules.values import Array, Losses, Positive, ProperFraction, Value
from tuner.schedules.warmup import Warmup
from tuner.svg import Axis, Line, line_chart
from tuner.validation import without_repetition

MIN_WARMUP: Final = 10
"""Default of the warm-up updates that compression preserves."""

BLOCK: Final = 8192
"""Updates per block: few enough that intermediate arrays stay in the processor's cache."""


_DRAWN_POINTS: Final = 400
_DRAWN_COLOUR: Final = "#0072b2"
_DRAWN_HORIZONS: Final = (1_000, 10_000, 100_000, 1_000_000)
"""Updates of the run that is drawn for runs of any length: the first of these that the schedule fits into."""


class Schedule(Value):
    """The learning rate of every update of a run, for runs of any length.

    Of T updates, numbered from 0, the first W are the warm-up; the family shapes the rest, over the progress
    ``p = (u - W) / (T - W)`` in [0, 1). From update T on the rate stays at the value for p = 1.

    Where the family follows the loss (`follows_loss`), the rate of update u is a function of the evaluations after at
    most u updates, the ``losses`` of the methods below; without them the rates are those of a run whose evaluations
    all improve. Other families take no account of losses.

    Raises:
        pydantic.ValidationError: A value is out of range; the error names field, value and what is allowed.

    Example:
        >>> from tuner import Schedule, Warmup
        >>> from tuner.schedules import Wsd
        >>> warmup = Warmup(shape="linear", fraction=0.2)
        >>> schedule = Schedule(peak_lr=0.1, family=Wsd(cooldown=0.5, shape="linear"), warmup=warmup)
        >>> schedule.lrs(10).round(3).tolist()
        [0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.075, 0.05, 0.025]
        >>> schedule.lr(10, total_steps=10)
        0.0
        >>> Schedule.from_json(schedule.to_json()) == schedule
        True
    """

    version: Literal[1] = 1
    peak_lr: Positive
    """The highest learning rate, above 0; the warm-up ends at it."""
    family: Family
    warmup: Warmup = Warmup()
    floor: ProperFraction = 0.0
    """Fraction of the peak in [0, 1) that bounds the rate from below after the warm-up, and ends a decay to it."""

    @model_validator(mode="after")
    def _check_warmup(self) -> Self:
        if self.warmup.shape != "none" and not self.family.starts_at_peak:
            raise InvalidValue(
                "warmup.shape",
                value=self.warmup.shape,
                allowed=f'"none" with this {self.family.name}, which does not start at the peak',
            )
        return self

    def lrs(self, total_steps: int, *, losses: Losses = ()) -> Array:
        """The learning rate of every update.

        Args:
            total_steps: Updates of the run, T, at least 1.
            losses: Evaluations of the run: updates done, ascending, and the loss there.

        Returns:
            float64 ``[total_steps]``, a new array.

        Raises:
            InvalidValue: The schedule does not fit into so few updates, ``total_steps`` is below 1, or the updates of
                ``losses`` do not ascend.
        """
        blocks = self.lr_blocks(total_steps, losses=losses)
        lrs = np.empty(total_steps)
        for first, block in zip(range(0, total_steps, BLOCK), blocks, strict=True):
            lrs[first : first + BLOCK] = block
        return lrs

    def lr_blocks(self, total_steps: int, *, losses: Losses = ()) -> Iterator[Array]:
        """The learning rates of `lrs` in blocks, for runs of any length in constant memory.

        Args:
            total_steps: Updates of the run, T, at least 1.
            losses: As for `lrs`.

        Returns:
            float64 ``[BLOCK]`` each, the last one shorter, in the order of the updates.

        Raises:
            InvalidValue: As for `lrs`.
        """
        self.lr(0, total_steps=total_steps, losses=losses)  # raises here, before the first block is requested
        return (
            self._rates(
                np.arange(float(first), min(first + BLOCK, total_steps)), total_steps=total_steps, losses=losses
            )
            for first in range(0, total_steps, BLOCK)
        )

    def lrs_at(self, steps: Sequence[int] | NDArray[np.int64], *, total_steps: int, losses: Losses = ()) -> Array:
        """The learning rates of some updates.

        Args:
            steps: ``[k]``, the updates, ascending, each in [0, total_steps]; at ``total_steps`` the progress is 1.
            total_steps: Updates of the run, T, at least 1.
            losses: As for `lrs`.

        Returns:
            float64 ``[k]``, each equal to `lr` of its update.

        Raises:
            InvalidValue: As for `lrs`, or the updates are out of range or not ascending.
        """
        _check_steps("total_steps", total_steps, minimum=1)
        at = np.asarray(steps, dtype=np.float64)
        if at.size and (at[0] < 0 or at[-1] > total_steps or np.any(np.diff(at) < 0)):
            raise InvalidValue("steps", value=list(steps)[:4], allowed=f"ascending, each in [0, {total_steps}]")
        return self._rates(at, total_steps=total_steps, losses=losses)

    def lr(self, step: int, *, total_steps: int, losses: Losses = ()) -> float:
        """The learning rate of one update.

        Args:
            step: The update, 0-based. From ``total_steps`` on, the value is that at progress 1.
            total_steps: Updates of the run, T, at least 1.
            losses: As for `lrs`.

        Raises:
            InvalidValue: As for `lrs`, or ``step`` is negative.
        """
        _check_steps("step", step, minimum=0)
        _check_steps("total_steps", total_steps, minimum=1)
        at = np.array([float(min(step, total_steps))])
        return float(self._rates(at, total_steps=total_steps, losses=losses)[0])

    def compressed(self, to_steps: int, *, from_steps: int, min_warmup: int = MIN_WARMUP) -> Schedule:
        """The same schedule for a run of another length, shorter or longer.

        The peak, the floor and all fractions stay. Lengths in updates scale: the warm-up with the run, the family's
        lengths with the updates after the warm-up (by the same ratio, unless ``min_warmup`` applies). So the rate at
        any progress stays the same. A family that follows the loss stays as it is: it counts evaluations.

        Args:
            to_steps: Updates of the new run, at least 1.
            from_steps: Updates of the run that the schedule was made for, at least 1.
            min_warmup: The warm-up keeps at least so many updates where it had them, up to half of the new run. At
                least 0.

        Raises:
            InvalidValue: The schedule does not fit into ``from_steps``, has too many cycles for ``to_steps``, or an
                argument is out of range.
        """
        _check_steps("to_steps", to_steps, minimum=1)
        _check_steps("from_steps", from_steps, minimum=1)
        _check_steps("min_warmup", min_warmup, minimum=0)
        self.lr(0, total_steps=from_steps)  # raises when the schedule does not fit
        warmup = self.warmup.compressed(to_steps, from_steps=from_steps, min_warmup=min_warmup)
        ratio = (to_steps - warmup.length(to_steps)) / (from_steps - self.warmup.length(from_steps))
        compressed = self.model_copy(update={"warmup": warmup, "family": self.family.scaled(ratio)})
        compressed.lr(0, total_steps=to_steps)  # raises when its cycles do not fit: all lengths do
        return compressed

    @property
    def follows_loss(self) -> bool:
        """Whether the rates depend on the losses of the run, and not on the update alone.

        Such a schedule has no shape before its run: it is trained whole, and shares nothing with other runs.
        """
        return self.family.follows_loss

    @property
    def stand_in(self) -> Schedule:
        """The schedule by which models compare it with others: itself, unless it follows the loss."""
        return self.model_copy(update={"family": self.family.stand_in}) if self.follows_loss else self

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """The schedule that `to_json` wrote.

        Raises:
            pydantic.ValidationError: The text is not a schedule; the error names every field, value and range.
            InvalidValue: A key stands in it twice.
        """
        with suppress(json.JSONDecodeError):  # explained with the rest
            json.loads(text, object_pairs_hook=without_repetition)
        return cls.model_validate_json(text)

    def to_json(self) -> str:
        """Canonical JSON: keys sorted, no spaces, absent fields left out. Equal schedules give equal text."""
        fields = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def label(self) -> str:
        """The schedule as text: ``"wsd 1-sqrt cooldown 40 %, peak 1.0e-02, warm-up 5 %"``."""
        floor = f"floor {percent(self.floor)}" if self.floor else ""
        parts = (self.family.label, f"peak {self.peak_lr:.1e}", self.warmup.label, floor)
        return ", ".join(part for part in parts if part)

    def to_svg(self, total_steps: int, *, losses: Losses = ()) -> str:
        """The learning rate over the updates of a run, drawn as an SVG document: for pages and notebooks.

        Args:
            total_steps: Updates of the run, T, at least 1.
            losses: As for `lrs`.

        Raises:
            InvalidValue: As for `lrs`.
        """
        return self._drawn(total_steps, losses=losses, end=f"{total_steps:,} updates")

    def _repr_svg_(self) -> str | None:
        """What a notebook shows: a run of any length, or of one that fits where the schedule has lengths in updates."""
        for length in _DRAWN_HORIZONS:
            with suppress(InvalidValue):
                any_length = self.compressed(2 * length, from_steps=length, min_warmup=0) == self
                return self._drawn(length, losses=(), end="100 % of the run" if any_length else f"{length:,} updates")
        return None

    def _drawn(self, total_steps: int, *, losses: Losses, end: str) -> str:
        _check_steps("total_steps", total_steps, minimum=1)
        updates = np.unique(np.linspace(0, total_steps - 1, num=_DRAWN_POINTS).round().astype(np.int64))
        lrs = self.lrs_at(updates, total_steps=total_steps, losses=losses)
        top = float(lrs.max()) or 1.0
        return line_chart(
            [Line(xs=updates.tolist(), ys=lrs.tolist(), colour=_DRAWN_COLOUR)],
            x=Axis(low=0, high=max(total_steps - 1, 1), labels=("0", end)),
            y=Axis(low=0.0, high=top, labels=("0", f"{top:.2e}")),
            title=self.label + (", while every evaluation improves" if self.follows_loss and not losses else ""),
        )

    def _rates(self, steps: Array, *, total_steps: int, losses: Losses) -> Array:
        """Learning rates at ascending ``steps``, each in [0, total_steps]."""
        if any(later[0] <= earlier[0] for earlier, later in pairwise(losses)):
            raise InvalidValue("losses", value=[step for step, _ in losses][:8], allowed="at ascending updates")
        warmup = self.warmup.length(total_steps)
        # Steps ascend, so one cut separates them, and no formula sees steps for which it is not defined.
        split = int(np.searchsorted(steps, warmup))
        rise = self.warmup.factors(steps[:split], length=warmup)
        rest = self.family.rates(
            steps[split:] - warmup,
            n=total_steps - warmup,
            peak_lr=self.peak_lr,
            floor=self.floor,
            losses=[(step - warmup, loss) for step, loss in losses],
        )
        return np.concatenate((self.peak_lr * rise, rest))


def _check_steps(field: str, value: object, *, minimum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise InvalidValue(field, value=value, allowed=f"a whole number of at least {minimum}")
