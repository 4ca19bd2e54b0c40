"""Lengths and positions within a run: a fraction of it, updates, or epochs together with their updates per epoch.

Families measure them in the updates after the warm-up. They need not be whole: the effect of a position starts at the
first update at or after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Discriminator, Field, Tag

from tuner.errors import InvalidValue
from tuner.schedules.values import Finite, NormalizedZero, Value

TOLERANCE: Final = 1e-9
"""Relative tolerance for rounding errors, so that 0.7 of 10 updates is 7, and ten lengths of 0.1 fill a run."""

MAX_STEPS: Final = 100_000_000
"""Longest run, in updates, of a job and of everything that the service and the commands compute for a schedule."""

_MIN_LENGTH: Final = 1e-12
"""Shorter lengths are refused as empty: dividing by them would overflow."""
MAX_LENGTH: Final = 1e12
"""Largest number of updates or epochs."""


class Updates(Value):
    """A length or position in optimizer updates."""

    updates: Annotated[Finite, Field(ge=0, le=MAX_LENGTH), NormalizedZero]
    """In [0, 1e12]. Need not be whole: lengths of a compressed schedule rarely are."""


class Epochs(Value):
    """A length or position in epochs, with the number of updates in one."""

    epochs: Annotated[Finite, Field(ge=0, le=MAX_LENGTH), NormalizedZero]
    updates_per_epoch: int = Field(ge=1, le=int(MAX_LENGTH), strict=True)


def _fraction(value: float) -> float:
    if not 0 <= value <= 1:
        raise InvalidValue(
            "a fraction of the run", value=value, allowed="in [0, 1]", hint='Give updates as {"updates": 100}.'
        )
    return value


def _tag(value: Any) -> str:
    match value:
        case Epochs() | {"epochs": _}:
            return "epochs"
        case Updates() | Mapping():
            return "updates"
        case _:
            return "fraction"


def _not_empty(span: Span) -> Span:
    if in_updates(span, of=1) < _MIN_LENGTH:
        raise InvalidValue("a length", value=span_text(span), allowed="greater than 0")
    return span


Fraction = Annotated[
    Finite, NormalizedZero, AfterValidator(_fraction), Field(json_schema_extra={"minimum": 0, "maximum": 1})
]
Span = Annotated[
    Annotated[Fraction, Tag("fraction")] | Annotated[Updates, Tag("updates")] | Annotated[Epochs, Tag("epochs")],
    Discriminator(_tag),
]
"""A position or length; zero is allowed."""
Length = Annotated[Span, AfterValidator(_not_empty)]
"""A span greater than 0."""


def in_updates(span: Span, *, of: int) -> float:
    """The span in updates.

    Args:
        span: The span.
        of: Updates that a fraction refers to, at least 1.

    Returns:
        Updates, at least 0; rounded to an integer when within a relative 1e-9 of one.
    """
    match span:
        case Updates():
            updates = span.updates
        case Epochs():
            updates = span.epochs * span.updates_per_epoch
        case _:
            updates = span * of
    return snap_to_integer(updates)


def updates_within(span: Span, *, of: int, field: str) -> float:
    """As `in_updates`, for a span that must not exceed ``of`` updates.

    Raises:
        InvalidValue: It does.
    """
    updates = in_updates(span, of=of)
    if updates > of * (1 + TOLERANCE):
        raise InvalidValue(
            field, value=span_text(span), allowed=f"at most the {of} updates after the warm-up", hint="Give a fraction."
        )
    # An excess within the tolerance is a rounding error, and callers rely on positions within the run.
    return min(updates, float(of))


def scaled(span: Span, *, ratio: float) -> Span:
    """The span in a run that is ``ratio`` times as long. Fractions stay; epochs become updates."""
    match span:
        case Updates() | Epochs():
            updates = ratio * (span.updates if isinstance(span, Updates) else span.epochs * span.updates_per_epoch)
            if updates > MAX_LENGTH:
                raise InvalidValue("a length", value=span_text(span), allowed=f"at most {MAX_LENGTH:g} updates, scaled")
            return Updates(updates=updates)
        case _:
            return span


def snap_to_integer(updates: float) -> float:
    """The integer that ``updates`` equals up to rounding errors, else ``updates`` itself."""
    whole = float(round(updates))
    return whole if whole and abs(updates - whole) <= TOLERANCE * whole else updates


def span_text(span: Span) -> str:
    """The span as text: ``"40 %"``, ``"400 updates"``, ``"3 epochs"``."""
    match span:
        case Updates():
            return f"{span.updates:.6g} update{'' if span.updates == 1 else 's'}"
        case Epochs():
            return f"{span.epochs:.6g} epoch{'' if span.epochs == 1 else 's'}"
        case _:
            return percent(span)


def percent(fraction: float) -> str:
    """A fraction as text: ``"12.5 %"``."""
    return f"{100 * fraction:.3g} %"
