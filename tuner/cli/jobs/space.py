"""``tuner submit --peak-lr``, ``--family``, ``--warmup``, ``--floor``: the space of the search. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tuner.cli.schedule_documents import check_family
from tuner.errors import InvalidValue

_RANGE: Final = "a range of rates above 0, as in 1e-5..1e-3, 1e-5.. or ..1e-3, or one rate"
_TINY: Final = sys.float_info.min
_HUGE: Final = sys.float_info.max


def parse_space(*, peak_lr: str, families: Sequence[str], warmup: str, floor: str) -> dict[str, Any]:
    """The fields of ``search.space`` that the command line sets; the service fills in the others.

    Args:
        peak_lr: ``LOW..HIGH``, where the service fills in an absent end, or one rate.
        families: Names of families; one text may hold several, with commas.
        warmup: Parts of a run, with commas: ``0,0.02,10%``.
        floor: Parts of the peak, with commas.

    Raises:
        InvalidValue: A text has none of these forms.
    """
    space: dict[str, Any] = {}
    if peak_lr:
        space["peak_lr"] = _peak_range(peak_lr)
    names = [name.strip() for text in families for name in text.split(",")]
    if names:
        space["families"] = [{"name": _family(name)} for name in dict.fromkeys(names)]
    if warmup:
        space["warmup"] = list(_shares(warmup, option="--warmup", of="the run"))
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


def _family(name: str) -> str:
    check_family(name, field="--family")
    return name


def _shares(text: str, *, option: str, of: str) -> Iterable[float]:
    for part in text.split(","):
        number = part.strip()
        try:
            share = float(number[:-1]) / 100 if number.endswith("%") else float(number)
        except ValueError:
            share = -1.0
        if not 0 <= share < 1:
            raise InvalidValue(option, value=text, allowed=f"parts of {of} from 0 to below 1, as in 0,0.02,10%")
        yield share
