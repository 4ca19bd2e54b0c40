"""``tuner submit --space``, ``--peak-lr``, ``--family``, ``--warmup``, ``--floor``: the space of the search. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tuner.cli.jobs.family_words import parse_families
from tuner.errors import InvalidValue

_RANGE: Final = "a range of rates above 0, as in 1e-5..1e-3, 1e-5.. or ..1e-3, or one rate"
_WARMUP: Final = "parts of the run from 0 to below 1, updates or epochs, as in 0,0.02,10%,500,3epochs"
_TINY: Final = sys.float_info.min
_HUGE: Final = sys.float_info.max


def parse_space(
    *,
    preset: str | None,
    training: str | None,
    peak_lr: str,
    families: Sequence[str],
    warmup: str,
    warmup_shape: str,
    floor: str,
) -> dict[str, Any]:
    """The fields of ``search.space`` that the command line sets; the service fills in the others.

    Args:
        preset: Name of the space that what is left out is taken from.
        training: Name of the kind of training.
        peak_lr: ``LOW..HIGH``, where the service fills in an absent end, or one rate.
        families: Families, as `parse_families` reads them.
        warmup: Parts of a run, updates and epochs, with commas: ``0,0.02,10%,500,3epochs``.
        warmup_shape: Shapes, with commas; with the start factor after a colon: ``linear,exponential:0.01``.
        floor: Parts of the peak, with commas.

    Raises:
        InvalidValue: A text has none of these forms.
    """
    space: dict[str, Any] = {}
    if preset:
        space["preset"] = str(preset)
    if training:
        space["training"] = str(training)
    if peak_lr:
        space["peak_lr"] = _peak_range(peak_lr)
    if families:
        space["families"] = parse_families(families)
    if warmup:
        space["warmup"] = list(_lengths(warmup))
    if warmup_shape:
        space["warmup_shape"] = list(map(_shape, warmup_shape.split(",")))
    if floor:
        space["floor"] = list(_shares(floor, option="--floor", of="the peak"))
    return space


def _peak_range(text: str) -> dict[str, Any]:
    low, dots, high = text.partition("..")
    named = {"low": low, "high": high if dots else low}
    try:
        ends = {name: float(end) for name, end in named.items() if end}
    except ValueError:
        raise InvalidValue("--peak-lr", value=text, allowed=_RANGE) from None
    if not ends or not 0 < ends.get("low", _TINY) <= ends.get("high", _HUGE) <= _HUGE:
        raise InvalidValue("--peak-lr", value=text, allowed=_RANGE + ", the lower one first")
    return ends


def _lengths(text: str) -> Iterator[float | dict[str, float | int]]:
    for part in text.split(","):
        number = part.strip()
        epochs = number.removesuffix("s").removesuffix("epoch")
        if epochs not in (number, number.removesuffix("s")):
            yield {"epochs": _positive(epochs, of=text)}
        elif number.isdecimal() and int(number) > 0:
            yield {"updates": int(number)}
        else:
            yield from _shares(number, option="--warmup", of="the run", allowed=_WARMUP)


def _positive(text: str, *, of: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= _HUGE:
        raise InvalidValue("--warmup", value=of, allowed=_WARMUP)
    return number


def _shape(text: str) -> str | dict[str, Any]:
    shape, colon, start = text.strip().partition(":")
    try:
        return {"shape": shape, "start_factor": float(start)} if colon else shape
    except ValueError:
        allowed = "shapes, with the fraction of the peak that they start from after a colon: linear,exponential:0.01"
        raise InvalidValue("--warmup-shape", value=text, allowed=allowed) from None


def _shares(text: str, *, option: str, of: str, allowed: str = "") -> Iterator[float]:
    for part in text.split(","):
        number = part.strip()
        try:
            share = float(number[:-1]) / 100 if number.endswith("%") else float(number)
        except ValueError:
            share = -1.0
        if not 0 <= share < 1:
            named = allowed or f"parts of {of} from 0 to below 1, as in 0,0.02,10%"
            raise InvalidValue(option, value=text, allowed=named)
        yield share
