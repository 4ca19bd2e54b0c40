"""A schedule at the few updates that a model looks at: its cost must not grow with the length of the run. Pure."""

from __future__ import annotations

from typing import Final

from tuner.schedules import Schedule

RESOLUTION: Final = 256
"""Updates that a schedule is compressed to, at most."""


def at_resolution(schedule: Schedule, *, total_steps: int) -> tuple[Schedule, int]:
    """The schedule compressed to a few updates, with as many of its cycles as these can show.

    One that follows the loss has no shape of its own: its stand-in is compressed.

    Args:
        schedule: Fits into the run.
        total_steps: Updates of the run.

    Returns:
        The schedule, and the updates that it is for; the run's own where it is short.
    """
    schedule, steps = schedule.stand_in, min(total_steps, RESOLUTION)
    warmup = schedule.warmup.compressed(steps, from_steps=total_steps, min_warmup=0).length(steps)
    n = total_steps - schedule.warmup.length(total_steps)
    # The public compression refuses cycles that do not fit: a model of many schedules has to have a value for each.
    shown = schedule.model_copy(update={"family": schedule.family.resolved(steps - warmup, of=n)})
    return shown.compressed(steps, from_steps=total_steps, min_warmup=0), steps
