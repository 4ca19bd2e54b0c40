"""Lengths in epochs of a request: the number of updates in one is given once for the whole search. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tuner.errors import InvalidValue
from tuner.schedules import FAMILIES

_IN_EPOCHS: Final = ("incumbent", "start", "space")
"""Parts of a search that may hold lengths in epochs; its options are the workload's own."""


def with_updates_per_epoch(value: Any, *, updates: int) -> Any:
    """A JSON value with ``updates_per_epoch`` wherever something is given in epochs without it.

    In families of a space, also where a parameter is varied in epochs, as in ``"period.epochs"``.

    Args:
        value: Plain values, and models, which stay.
        updates: Updates in an epoch.

    Example:
        >>> from tuner.jobs.admission.epochs import with_updates_per_epoch
        >>> with_updates_per_epoch({"warmup": [0.1, {"epochs": 3}]}, updates=391)
        {'warmup': [0.1, {'epochs': 3, 'updates_per_epoch': 391}]}
    """
    if isinstance(value, list | tuple):
        return [with_updates_per_epoch(one, updates=updates) for one in value]
    if not isinstance(value, Mapping):
        return value
    found = {name: with_updates_per_epoch(one, updates=updates) for name, one in value.items()}
    if found.get("epochs") is not None and "updates_per_epoch" not in found:
        found["updates_per_epoch"] = updates
    params = found.get("params")
    for name in params if isinstance(params, Mapping) else ():
        *parts, last = str(name).split(".")
        if last == "epochs" and parts:
            fixed = _with_default(found.get("fixed") or {}, family=found.get("name"), first=parts[0])
            found["fixed"] = _with_part(fixed, parts, updates=updates)
    return found


def _with_default(fixed: Any, *, family: Any, first: str) -> Any:
    """The fixed parameters, with a family's default of one that is a list, into which a name may lead."""
    field = FAMILIES[family].model_fields.get(first) if family in FAMILIES else None
    if field is None or not isinstance(field.default, tuple) or not isinstance(fixed, Mapping):
        return fixed
    return {first: list(field.default), **fixed}


def _with_part(fixed: Any, parts: list[str], *, updates: int) -> Any:
    """The fixed parameters, with the updates of an epoch in the length that the parts lead to."""
    if not parts:
        return {"updates_per_epoch": updates, **(fixed if isinstance(fixed, Mapping) else {})}
    first, *rest = parts
    if isinstance(fixed, list | tuple) and first.isdecimal() and int(first) < len(fixed):
        place = int(first)
        return [_with_part(one, rest, updates=updates) if at == place else one for at, one in enumerate(fixed)]
    if not isinstance(fixed, Mapping):
        return fixed
    if first not in fixed and rest:
        return fixed
    return {**fixed, first: _with_part(fixed.get(first), rest, updates=updates)}


def prepared(payload: Any) -> Any:
    """A job's payload with the updates of an epoch, ``search.steps_per_epoch``, in all that its search has in epochs.

    Args:
        payload: Plain values, of any form: the model refuses what is none.

    Raises:
        InvalidValue: A length in epochs lacks its updates, and there are none for the whole search.
    """
    search = payload.get("search") if isinstance(payload, Mapping) else None
    if not isinstance(search, Mapping):
        return payload
    updates = search.get("steps_per_epoch")
    named = {part: search[part] for part in _IN_EPOCHS if search.get(part) is not None}
    if isinstance(updates, int) and not isinstance(updates, bool) and updates >= 1:
        named = {part: with_updates_per_epoch(value, updates=updates) for part, value in named.items()}
    for part, value in named.items():
        check_epochs(value, loc=("search", part))
    return {**payload, "search": {**search, **named}}


def check_epochs(value: Any, *, loc: tuple[str | int, ...] = ()) -> None:
    """Check that every length in epochs has its updates per epoch.

    Raises:
        InvalidValue: One has not; the hint says how to give them for the whole request.
    """
    if isinstance(value, list | tuple):
        for place, one in enumerate(value):
            check_epochs(one, loc=(*loc, place))
    elif isinstance(value, Mapping):
        if value.get("epochs") is not None and value.get("updates_per_epoch") is None:
            raise InvalidValue(
                ".".join(map(str, (*loc, "updates_per_epoch"))),
                value=None,
                allowed="given with epochs",
                hint="Give it there, or once for the whole search as steps_per_epoch (--steps-per-epoch).",
            )
        for name, one in value.items():
            check_epochs(one, loc=(*loc, name))
