"""A schedule for Composer: its schedulers, whose factors multiply, with batches as their unit."""

from __future__ import annotations

import math
from typing import Final

from tuner.exports.code import scalar_function
from tuner.exports.exporter import Exporter, Run, Written, code, comment
from tuner.exports.formula import formula_of
from tuner.exports.pytorch import constants
from tuner.exports.shape import Inexpressible, Ramp, drops_of, floor_cuts, levels_of, ramp_of
from tuner.schedules import Constant, Cosine, Exponential, Linear, MultiStep, Polynomial, Schedule, Sgdr, Step
from tuner.schedules.families.cycles import cycle_edges
from tuner.schedules.spans import in_updates

_USAGE: Final = (
    "Use: Trainer(..., schedulers=SCHEDULERS, optimizers=optimizer built with lr=PEAK_LR, "
    'max_duration=f"{TOTAL_UPDATES}ba"). A batch of Composer is one optimizer update, micro-batches included. Leave '
    "scale_schedule_ratio at 1: export again for another length."
)


def composer_calls(schedule: Schedule, *, total_steps: int) -> list[str] | Inexpressible:
    """The schedulers of Composer whose product is exactly this schedule."""
    ramp = ramp_of(schedule, total_steps=total_steps)
    if ramp.kind == "curved":
        return Inexpressible(reason=f"It has no {schedule.warmup.shape} warm-up.")
    if isinstance(schedule.family, Constant | Step | MultiStep):
        return _in_steps(schedule, ramp=ramp, total_steps=total_steps)
    if ramp.kind != "none":
        return Inexpressible(
            reason="Its warm-up is t / W from 0, and a warm-up of another kind does not delay a decay."
        )
    call = _without_warmup(schedule, total_steps=total_steps)
    return call if isinstance(call, Inexpressible) else [call]


def _in_steps(schedule: Schedule, *, ramp: Ramp, total_steps: int) -> list[str] | Inexpressible:
    calls = []
    if ramp.kind == "constant":
        calls.append(f'ConstantScheduler(alpha={ramp.start!r}, t_max="{ramp.updates}ba")')
    elif ramp.updates > 1:
        calls.append(f'LinearScheduler(alpha_i={ramp.start!r}, alpha_f=1.0, t_max="{ramp.updates - 1}ba")')
    if isinstance(schedule.family, Step | MultiStep):
        levels = levels_of(schedule, total_steps=total_steps)
        places = None if levels is None else drops_of(levels, gamma=schedule.family.gamma)
        if places is None:
            return Inexpressible(reason="MultiStepScheduler has no floor, and at most 100 milestones are written out.")
        milestones = ", ".join(f'"{ramp.updates + place}ba"' for place in places)
        calls.append(f"MultiStepScheduler(milestones=[{milestones}], gamma={schedule.family.gamma!r})")
    return calls or ["ConstantScheduler()"]


def _without_warmup(schedule: Schedule, *, total_steps: int) -> str | Inexpressible:
    floor, time = schedule.floor, f'"{total_steps}ba"'
    match schedule.family:
        case Linear():
            return f"LinearScheduler(alpha_i=1.0, alpha_f={floor!r}, t_max={time})"
        case Cosine():
            return f"CosineAnnealingScheduler(t_max={time}, alpha_f={floor!r})"
        case Polynomial(power=power):
            return f"PolynomialScheduler(power={power!r}, t_max={time}, alpha_f={floor!r})"
        case Exponential(rate=rate) if rate is not None and not floor_cuts(schedule, total_steps=total_steps):
            return f"ExponentialScheduler(gamma={math.exp(-rate)!r}, decay_period={time})"
        case Exponential(gamma=gamma, every=every) if every and not floor_cuts(schedule, total_steps=total_steps):
            period = in_updates(every, of=total_steps)
            if period == round(period):
                return f'ExponentialScheduler(gamma={gamma!r}, decay_period="{round(period)}ba")'
        case Sgdr(cycles=cycles, multiplier=multiplier):
            edges = cycle_edges(schedule.family, n=total_steps).tolist()
            if (cycles == 1 or multiplier == round(multiplier)) and all(edge == round(edge) for edge in edges):
                first = f'"{round(edges[1])}ba"'
                return f"CosineAnnealingWarmRestartsScheduler(t_0={first}, t_mult={multiplier!r}, alpha_f={floor!r})"
    end = f" with a floor of {floor:g}" if floor else ""
    return Inexpressible(reason=f"It has no scheduler for {schedule.family.label}{end} in whole batches.")


def _own(schedule: Schedule, *, total_steps: int) -> str | Inexpressible:
    calls = composer_calls(schedule, total_steps=total_steps)
    if isinstance(calls, Inexpressible):
        return calls
    names = ", ".join(sorted({call.partition("(")[0] for call in calls}))
    listed = "".join(f"    {call},\n" for call in calls)
    return (
        f"{comment(_USAGE)}\nfrom composer.optim import {names}\n\n"
        f"{constants(schedule, total_steps=total_steps)}\nSCHEDULERS = [\n{listed}]\n"
    )


def _function(schedule: Schedule, *, total_steps: int) -> str:
    function = scalar_function(formula_of(schedule, total_steps=total_steps))
    imports = "import math\n\n" if "math." in function else ""
    return (
        f"{comment(_USAGE)}\n{imports}{constants(schedule, total_steps=total_steps)}\n\n{function}\n\n"
        "def scheduler(state):\n"
        '    """A scheduler of Composer: what the optimizer\'s lr is multiplied by."""\n'
        "    return lr_factor(state.timestamp.batch.value)\n\n\nSCHEDULERS = [scheduler]\n"
    )


def _write(schedule: Schedule, run: Run) -> Written:
    return code(
        schedule,
        run,
        target="Composer's own schedulers",
        own=_own(schedule, total_steps=run.total_steps),
        function=lambda: _function(schedule, total_steps=run.total_steps),
    )


EXPORTERS: Final = (
    Exporter(
        name="composer",
        description="Composer (mosaicml): its schedulers, in batches.",
        own="constant, step and multi_step, with a linear or a constant warm-up or none; linear, cosine, polynomial, "
        "exponential and sgdr in whole batches, without one.",
        needs="mosaicml",
        media_type="text/x-python",
        ending="py",
        write=_write,
    ),
)
