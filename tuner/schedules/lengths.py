"""Lengths and positions within a run: a fraction of it, updates, or epochs together with their updates per epoch.

A family measures them in the stretch after the warm-up. They need not be whole: what happens at a position happens at
the first update at or after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Discriminator, Field, Tag

from tuner.errors import InvalidValue
from tuner.schedules.values import Finite, Value

ROUNDING: Final = 1e-9
"""SiblingRun error that is put down to rounding, so that 0.7 of 10 updates is 7, and ten lengths of 0.1 fill a run."""

_LEAST: Final = 1e-12
"""Shorter lengths are nothing: dividing by them would overflow."""
_MOST: Final = 1e12
"""More updates, or epochs, than any run has."""


class Updates(Value):
    """A length or position in optimizer updates."""

    updates: Annotated[Finite, Field(ge=0, le=_MOST)]
    """Not negative. Need not be whole: a compressed schedule's rarely is."""


class Epochs(Value):
    """A length or position in epochs, which mean nothing without the updates in one."""

    epochs: Annotated[Finite, Field(ge=0, le=_MOST)]
    updates_per_epoch: int = Field(ge=1, le=int(_MOST), strict=True)


def _fraction(value: float) -> float:
    if not 0 <= value <= 1:
        raise InvalidValue(
            "a fraction of the run", value=value, allowed="in [0, 1]", hint='Give updates as {"updates": 100}.'
        )
    return value


def _kind(value: Any) -> str:
    match value:
        case Epochs() | {"epochs": _}:
            return "epochs"
        case Updates() | Mapping():
            return "updates"
        case _:
            return "fraction"


def _not_empty(span: Span) -> Span:
    if in_updates(span, of=1) < _LEAST:
        raise InvalidValue("a length", value=span_text(span), allowed="greater than 0")
    return span


Fraction = Annotated[Finite, AfterValidator(_fraction), Field(json_schema_extra={"minimum": 0, "maximum": 1})]
Span = Annotated[
    Annotated[Fraction, Tag("fraction")] | Annotated[Updates, Tag("updates")] | Annotated[Epochs, Tag("epochs")],
    Discriminator(_kind),
]
"""A position: zero is allowed."""
Length = Annotated[Span, AfterValidator(_not_empty)]
"""A span that is not empty."""


def in_updates(span: Span, *, of: int) -> float:
    """The span in updates.

    Args:
        span: What to measure.
        of: Updates of the whole stretch that a fraction refers to, at least 1.

    Returns:
        Updates, not negative; a whole number when within a billionth of one.
    """
    match span:
        case Updates():
            updates = span.updates
        case Epochs():
            updates = span.epochs * span.updates_per_epoch
        case _:
            updates = span * of
    return snapped(updates)


def fitting(span: Span, *, of: int, field: str) -> float:
    """As `in_updates`, for what must lie within the stretch.

    Raises:
        InvalidValue: It is longer than the stretch.
    """
    updates = in_updates(span, of=of)
    if updates > of * (1 + ROUNDING):
        raise InvalidValue(
            field, value=span_text(span), allowed=f"at most the {of} updates after the warm-up", hint="Give a fraction."
        )
    return min(updates, float(of))


def scaled(span: Span, *, ratio: float) -> Span:
    """The span in a run that is ``ratio`` times as long. A fraction stays; epochs become updates."""
    match span:
        case Updates():
            return Updates(updates=span.updates * ratio)
        case Epochs():
            return Updates(updates=span.epochs * span.updates_per_epoch * ratio)
        case _:
            return span


def snapped(updates: float) -> float:
    """The whole number that ``updates`` stands for up to rounding errors, else ``updates`` itself."""
    whole = float(round(updates))
    return whole if whole and abs(updates - whole) <= ROUNDING * whole else updates


def span_text(span: Span) -> str:
    """The span for people: ``"40 %"``, ``"400 updates"``, ``"3 epochs"``."""
    match span:
        case Updates():
            return f"{span.updates:.6g} updates"
        case Epochs():
            return f"{span.epochs:.6g} epochs"
        case _:
            return percent(span)


def percent(fraction: float) -> str:
    """A fraction for people: ``"12.5 %"``."""
    return f"{100 * fraction:.3g} %"
