"""A schedule as a JSON document: from the words of a command line, and read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from tuner.errors import InvalidValue

if TYPE_CHECKING:
    from tuner.schedules import Schedule

_FLAGS: Final = (
    (re.compile(r"^(peak_lr)$"), "--peak-lr"),
    (re.compile(r"^(floor)$"), "--floor"),
    (re.compile(r"^warmup(\.\w+)?$"), "--warmup"),
    (re.compile(r"^family\.(\w+)$"), r"--param \1"),
)
DOCUMENTED: Final = "`tuner schedule families` describes them"


def schedule_document(
    family: str, *, parameters: Mapping[str, Any], peak_lr: Any, warmup: str, floor: Any | None
) -> dict[str, Any]:
    """The JSON document of a schedule.

    Args:
        family: Its name.
        parameters: The family's own, by name.
        peak_lr: The peak learning rate.
        warmup: Length of a linear warm-up, in updates (500) or as a part of the run (0.05, 5%); empty for none.
        floor: The lowest rate as a fraction of the peak; the default when ``None``.

    Raises:
        InvalidValue: ``warmup`` is no length.
    """
    payload: dict[str, Any] = {"peak_lr": peak_lr, "family": {**parameters, "name": family}}
    if warmup:
        payload["warmup"] = {"shape": "linear", **_length(warmup)}
    if floor is not None:
        payload["floor"] = floor
    return payload


def check_family(name: str, *, field: str) -> None:
    """Check that a family has a name.

    Args:
        name: The name.
        field: Where it stands.

    Raises:
        InvalidValue: None has; the error names the closest one.
    """
    from tuner.schedules import FAMILIES

    if name in FAMILIES:
        return
    close = get_close_matches(name.lower(), FAMILIES, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "`tuner schedule families` describes them"
    raise InvalidValue(field, value=name, allowed=f"one of {', '.join(FAMILIES)}", hint=hint)


def in_flags(error: InvalidValue, *, within: str = "") -> InvalidValue:
    """The refusal of a schedule from options, by the name of the option.

    Args:
        error: The refusal, by the field of the document.
        within: The option that all of them stand in, and a blank: ``"--incumbent "``.
    """
    from tuner.jobs.admission.strict_json import RefusedPayload, refusal_of

    refusal = refusal_of(error)
    field = refusal.field
    for pattern, option in _FLAGS:
        field = pattern.sub(option, field)
    field = f"{within}{field.removeprefix('--')}" if within else field
    return RefusedPayload(replace(refusal, field=field, message=refusal.message.replace(refusal.field, field, 1)))


def _length(text: str) -> dict[str, float | int]:
    try:
        if text.endswith("%"):
            return {"fraction": float(text[:-1]) / 100}
        if text.endswith(("epoch", "epochs")):
            return {"epochs": float(text.removesuffix("s").removesuffix("epoch"))}
        return {"updates": int(text)} if text.isdigit() else {"fraction": float(text)}
    except ValueError:
        raise InvalidValue("--warmup", value=text, allowed="updates (500) or a part of the run (0.05, 5%)") from None


def read_schedule(payload: Mapping[str, Any]) -> Schedule:
    """The schedule of a JSON document.

    Raises:
        InvalidValue: It is none.
    """
    from pydantic import ValidationError

    from tuner.jobs.admission.strict_json import RefusedPayload, parse_strict, refusals
    from tuner.schedules import Schedule

    try:
        return parse_strict(Schedule, payload)
    except ValidationError as error:
        first = refusals(error.errors(), model=Schedule)[0]
        if not first.hint:
            first = replace(first, message=f"{first.message}. {DOCUMENTED}", hint=DOCUMENTED)
        raise RefusedPayload(first) from None
