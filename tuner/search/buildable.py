"""Whether every schedule that a search can ever train exists at its horizon. Pure.

A value may be fine by itself and impossible in a run of so many updates: a warm-up that takes the whole run, more
cycles than updates. So schedules are built, not only checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tuner.errors import InvalidValue
from tuner.schedules import FAMILIES, Epochs, PiecewiseLinear, Schedule, Segments
from tuner.search.settings import SearchSettings
from tuner.search.space import MAX_PEAK, MIN_PEAK, FamilySpace, SearchSpace, Value, WarmupUpdates, warmup_of

_SAMPLED: Final = 100_000
"""Updates at which a schedule is looked at for a rate above 0, at most."""


def check_buildable(settings: SearchSettings) -> None:
    """Build what the search can train: its incumbent, its start schedules, and the corners of its space.

    Every other schedule of the space lies between corners, and is buildable where they are.

    Args:
        settings: Complete.

    Raises:
        InvalidValue: One does not exist at the horizon. The field counts from the search settings.
    """
    steps = settings.total_steps
    if settings.incumbent is not None:
        _check_named(settings.incumbent, field="incumbent", total_steps=steps)
    for place, schedule in enumerate(settings.start):
        _check_named(schedule, field=f"start.{place}", total_steps=steps)
    _check_space(settings.searched_space, total_steps=steps)


def check_rates_known(settings: SearchSettings, *, workload: str) -> None:
    """Check that the rates of all schedules of a search are known before their runs.

    Args:
        settings: Complete.
        workload: Name of one that reads all rates before it trains.

    Raises:
        InvalidValue: One follows the loss. The field counts from the search settings.
    """
    named: dict[str, str] = {f"start.{place}": schedule.family.name for place, schedule in enumerate(settings.start)}
    if settings.incumbent is not None:
        named["incumbent"] = settings.incumbent.family.name
    named |= {f"space.families.{place}": one.name for place, one in enumerate(settings.searched_space.families)}
    for field, family in named.items():
        if FAMILIES[family].follows_loss:
            raise InvalidValue(
                field,
                value=family,
                allowed=f"without it: {workload} reads all rates before it trains, and these follow the loss",
                hint="Leave it out, or let the training use run.lr(step) or run.scheduler(optimizer).",
            )


def _check_named(schedule: Schedule, *, field: str, total_steps: int) -> None:
    if not MIN_PEAK <= schedule.peak_lr <= MAX_PEAK:
        allowed = f"in [{MIN_PEAK:g}, {MAX_PEAK:g}]"
        raise InvalidValue(f"{field}.peak_lr", value=schedule.peak_lr, allowed=allowed)
    try:
        schedule.lr(0, total_steps=total_steps)
    except InvalidValue as error:
        raise _refused(error, field=f"{field}.{error.field}", value=error.value, total_steps=total_steps) from None
    if not _has_rate(schedule, total_steps=total_steps):
        raise InvalidValue(
            f"{field}.family",
            value=schedule.family.name,
            allowed=f"a schedule with a rate above 0 at some of its {total_steps} updates",
        )


def _has_rate(schedule: Schedule, *, total_steps: int) -> bool:
    """Whether any rate is above 0; all families but those composed by hand reach their peak."""
    if not isinstance(schedule.family, PiecewiseLinear | Segments):
        return True
    updates = np.linspace(0, total_steps - 1, min(total_steps, _SAMPLED)).astype(np.int64)
    return bool((schedule.lrs_at(updates, total_steps=total_steps) > 0.0).any())


def _check_space(space: SearchSpace, *, total_steps: int) -> None:
    if any("warmup" in space.parameters(family) for family in space.keys):
        for place, length in enumerate(space.warmup):
            _check_warmup(length, field=f"space.warmup.{place}", total_steps=total_steps)
    for place, family in enumerate(space.families):
        for corner in space.corners(family.key):
            try:
                space.build(corner).lr(0, total_steps=total_steps)
            except InvalidValue as error:
                name = error.field.rpartition(".")[2]
                field, value = _in_family(corner, family=family, name=name, field=f"space.families.{place}")
                raise _refused(error, field=field, value=value, total_steps=total_steps) from None


def _check_warmup(length: float | WarmupUpdates | Epochs, *, field: str, total_steps: int) -> None:
    warmup = warmup_of(length, shape="linear")
    try:
        warmup.length(total_steps)
    except InvalidValue:
        raise InvalidValue(
            field,
            value=length if isinstance(length, float) else length.model_dump(),
            allowed=f"a length that leaves an update after the warm-up: {warmup.label} leaves none of {total_steps}",
            hint="Take a shorter one, or raise total_steps.",
        ) from None


def _in_family(corner: Mapping[str, Value], *, family: FamilySpace, name: str, field: str) -> tuple[str, Any]:
    """The field of a family's parameter, and its value; the family with the whole corner where it is not named."""
    value = corner.get(f"{family.key}.{name}")
    if value is not None:
        return f"{field}.params.{name}", value
    varied = next((one for one in family.params if one.startswith(f"{name}.")), None)
    if varied is not None:
        return f"{field}.params.{varied}", corner[f"{family.key}.{varied}"]
    return (f"{field}.fixed.{name}", family.fixed[name]) if name in family.fixed else (field, dict(corner))


def _refused(error: InvalidValue, *, field: str, value: object, total_steps: int) -> InvalidValue:
    hint = f"Every run of this search has {total_steps} updates (total_steps)."
    return InvalidValue(field, value=value, allowed=error.allowed, hint=" ".join(filter(None, (error.hint, hint))))
