"""A schedule as the sequence of its pieces, from which readers of other libraries' schedulers build it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from tuner.errors import InvalidValue
from tuner.schedules import Constant, Cosine, Linear, Polynomial, Schedule, Segment, Segments, Updates
from tuner.schedules.families.piecewise import SegmentKind

MAX_PIECES: Final = 100
_MOST_EPOCHS: Final = 100_000
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a schedule: from one rate to another along a curve."""

    kind: SegmentKind
    length: float
    """In updates."""
    start: float
    """As a fraction of the base rate, like ``end``."""
    end: float
    power: float | None = None
    rate: float | None = None


def hold(factor: float, *, length: float) -> Piece:
    """A constant piece."""
    return Piece(kind="constant", length=length, start=factor, end=factor)


def schedule_of(pieces: Sequence[Piece], *, base: float, total_steps: int) -> Schedule:
    """The schedule of pieces in sequence; the end of the last one holds to the end of the run.

    Args:
        pieces: In order, at least one.
        base: The rate of the factor 1.
        total_steps: Updates of the run; what lies beyond it is left out.

    Raises:
        InvalidValue: The run ends within a curve that has no part, all rates are 0, or there are too many pieces.
    """
    found = fitted(pieces, total_steps=total_steps)
    highest = max(max(one.start, one.end) for one in found)
    if not highest * base > 0:
        raise refused("a schedule whose rates are all 0")
    if len(found) > MAX_PIECES:
        raise refused(f"a schedule of {len(found)} pieces; at most {MAX_PIECES} can be written")
    scaled = [replace(one, start=one.start / highest, end=one.end / highest) for one in found]
    return _as_family(scaled, peak=base * highest) or Schedule(
        peak_lr=base * highest, family=Segments(segments=tuple(map(_segment, scaled)))
    )


def check_epochs(epochs: int) -> None:
    """Check that the rates of all epochs can be computed.

    Raises:
        InvalidValue: There are too many.
    """
    if epochs > _MOST_EPOCHS:
        raise InvalidValue(
            "steps_per_epoch", value=f"{epochs} epochs", allowed=f"such that there are at most {_MOST_EPOCHS}"
        )


def staircase(rates: Sequence[float], *, steps_per_epoch: int, total_steps: int) -> Schedule:
    """The schedule whose rate changes at the ends of epochs alone.

    Args:
        rates: Of each epoch.
        steps_per_epoch: Updates in one.
        total_steps: Updates of the run.

    Raises:
        InvalidValue: It has too many different rates in sequence.
    """
    base = max(rates, default=0.0)
    runs = [(rate, len(list(same))) for rate, same in groupby(rates)]
    pieces = [hold(rate / base if base else 0.0, length=float(count * steps_per_epoch)) for rate, count in runs]
    return schedule_of(pieces, base=base, total_steps=total_steps)


def check_count(total: float, *, of: float, what: str) -> int:
    """The number of parts of length ``of`` that ``total`` updates have, rounded up.

    Raises:
        InvalidValue: There are too many of them, or their length is not above 0.
    """
    count = math.ceil(total / of) if of > 0 else MAX_PIECES + 1
    if count > MAX_PIECES:
        raise refused(f"{what} of {of:g} updates in {total:g}; at most {MAX_PIECES} can be written")
    return count


def refused(what: str, *, field: str = "schedule", hint: str = "") -> InvalidValue:
    """The refusal of what cannot be read exactly."""
    return InvalidValue(
        field,
        value=what,
        allowed="one that can be written exactly",
        hint=hint or "Write the schedule in words or as JSON (docs/schedules.md).",
    )


def fitted(pieces: Sequence[Piece], *, total_steps: float) -> list[Piece]:
    """The pieces of exactly so many updates: the last one is held, or cut where it can be.

    Raises:
        InvalidValue: The end lies within a curve that has no part.
    """
    found: list[Piece] = []
    left = float(total_steps)
    for one in pieces:
        if left <= _TOLERANCE:
            break
        if one.length > _TOLERANCE:
            found.append(one if one.length <= left + _TOLERANCE else _cut(one, length=left))
            left -= one.length
    if left > _TOLERANCE:
        found.append(hold(pieces[-1].end, length=left))
    return found


def _cut(piece: Piece, *, length: float) -> Piece:
    if piece.kind == "constant":
        return replace(piece, length=length)
    if piece.kind == "linear":
        share = length / piece.length
        return replace(piece, length=length, end=piece.start + (piece.end - piece.start) * share)
    raise refused(
        f"a run that ends within a {piece.kind} curve of {piece.length:g} updates, {length:g} after its start"
    )


def _as_family(pieces: Sequence[Piece], *, peak: float) -> Schedule | None:
    """The plain family of a single piece from the peak, if it has one."""
    if len(pieces) > 1 or pieces[0].start != 1:
        return None
    one = pieces[0]
    families: dict[str, Any] = {"constant": Constant(), "linear": Linear(), "cosine": Cosine()}
    if one.kind == "polynomial":
        families["polynomial"] = Polynomial(power=one.power or 1.0)
    if one.kind not in families:
        return None
    floor = 0.0 if one.kind == "constant" else one.end
    return Schedule(peak_lr=peak, family=families[one.kind], floor=floor) if floor < 1 else None


def _segment(piece: Piece) -> Segment:
    return Segment(
        kind=piece.kind,
        length=Updates(updates=piece.length),
        start=min(piece.start, 1.0),
        end=min(piece.end, 1.0),
        power=piece.power,
        rate=piece.rate,
    )


def geometric(start: float, *, gamma: float, length: float) -> Piece:
    """A piece that falls by the factor ``gamma`` at every update."""
    fall = -math.log(gamma) * length
    return Piece(kind="exponential", length=length, start=start, end=start * math.exp(-fall), rate=fall)
