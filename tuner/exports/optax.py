"""Export to optax: its native schedules, joined, or the formulas in ``jax.numpy``."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np

from tuner.exports.analysis import NotExpressible, final_decay, linear_pieces, run_warmup, step_levels
from tuner.exports.codegen import JAX, Stage, array_function, stage_ends
from tuner.exports.exporter import Export, Exporter, TargetRun, code, comment
from tuner.exports.formula import MAX_LEVELS, schedule_formula
from tuner.exports.pytorch import constants
from tuner.schedules import Constant, Exponential, MultiStep, Polynomial, Schedule, Sgdr, Step
from tuner.schedules.families.cycles import cycle_edges
from tuner.schedules.lengths import in_updates

_USAGE: Final = (
    "Use: optax.adamw(learning_rate), for example. optax counts the updates in the optimizer's state, so a resumed run "
    "continues; with optax.MultiSteps it counts the updates of the parameters. Rates are float32, as JAX computes from "
    "counts of 32 bits: within 1e-5 of the peak. Parameters at another rate, in optax.multi_transform or in a second "
    "optimizer, have this schedule times their ratio to it: lambda count: ratio * learning_rate(count)."
)
_HOLD: Final = "constant_schedule(PEAK_LR)"


def optax_expression(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    """The expression, over the module ``optax``, that equals the schedule; else why there is none."""
    rise = _warmup_stages(schedule, total_steps=total_steps)
    if isinstance(rise, NotExpressible):
        return rise
    rest = _main_stages(schedule, total_steps=total_steps, n=total_steps - schedule.warmup.length(total_steps))
    if isinstance(rest, NotExpressible):
        return rest
    stages = [*rise, *rest]
    if len(stages) == 1:
        return f"optax.{stages[0].call}"
    ends = stage_ends(stages)
    calls = "".join(f"        optax.{stage.call},\n" for stage in stages)
    return f"optax.join_schedules(\n    [\n{calls}    ],\n    boundaries={ends},\n)"


def _warmup_stages(schedule: Schedule, *, total_steps: int) -> list[Stage] | NotExpressible:
    warmup = run_warmup(schedule, total_steps=total_steps)
    start = repr(warmup.start * schedule.peak_lr)
    match warmup.kind:
        case "none":
            return []
        case "constant":
            return [Stage(call=f"constant_schedule({start})", updates=warmup.updates)]
        case "linear":
            call = f"linear_schedule({start}, PEAK_LR, transition_steps={warmup.updates - 1})"
            return [Stage(call=call if warmup.updates > 1 else _HOLD, updates=warmup.updates)]
    return NotExpressible(reason=f"It has no {schedule.warmup.shape} warm-up.")


def _main_stages(schedule: Schedule, *, total_steps: int, n: int) -> list[Stage] | NotExpressible:
    end = repr(schedule.floor * schedule.peak_lr)
    match schedule.family:
        case Constant() | Step() | MultiStep():
            return _in_steps(schedule, total_steps=total_steps, n=n)
        case Polynomial(power=power):
            return [
                Stage(call=f"polynomial_schedule(PEAK_LR, {end}, power={power!r}, transition_steps={n})", updates=n)
            ]
        case Exponential():
            return [_exponential(schedule.family, n=n, end=end)]
        case Sgdr():
            return _restarts(schedule.family, schedule, n=n)
    decay = final_decay(schedule, total_steps=total_steps)
    if decay is not None and decay.shape in ("linear", "cosine"):
        d = decay.updates
        call = (
            f"linear_schedule(PEAK_LR, {end}, transition_steps={d})"
            if decay.shape == "linear"
            else f"cosine_decay_schedule(PEAK_LR, decay_steps={d}, alpha={schedule.floor!r})"
        )
        hold = [Stage(call=_HOLD, updates=n - d)] if d < n else []
        return [*hold, Stage(call=call, updates=d)]
    return _linear_stages(schedule, total_steps=total_steps)


def _in_steps(schedule: Schedule, *, total_steps: int, n: int) -> list[Stage] | NotExpressible:
    levels = step_levels(schedule, total_steps=total_steps)
    if levels is None:
        return NotExpressible(reason="At most 100 levels of a piecewise_constant_schedule are written out.")
    if len(levels) == 1:
        return [Stage(call=_HOLD, updates=n)]
    if any(factor == 0 for _, factor in levels):
        return NotExpressible(reason="A rate of 0 has no scale to the level before it that could be written out.")
    scales = {first: after / before for (_, before), (first, after) in pairwise(levels)}
    return [Stage(call=f"piecewise_constant_schedule(PEAK_LR, {scales})", updates=n)]


def _exponential(family: Exponential, *, n: int, end: str) -> Stage:
    if family.gamma is None or family.every is None:
        steps, rate = repr(n), math.exp(-(family.rate or 0.0))
    else:
        steps, rate = repr(in_updates(family.every, of=n)), family.gamma
    call = f"exponential_decay(PEAK_LR, transition_steps={steps}, decay_rate={rate!r}, end_value={end})"
    return Stage(call=call, updates=n)


def _restarts(family: Sgdr, schedule: Schedule, *, n: int) -> list[Stage] | NotExpressible:
    edges = cycle_edges(family, n=n).tolist()
    starts = edges[:-1]
    if len(starts) > MAX_LEVELS or any(start != round(start) for start in starts):
        return NotExpressible(reason="It restarts after whole updates only, and at most 100 cycles are written out.")
    call = "cosine_decay_schedule(PEAK_LR, decay_steps={!r}, alpha={!r})"
    stages = [
        Stage(call=call.format(_whole(end - start), schedule.floor), updates=round(min(end, n) - start))
        for start, end in pairwise(edges)
    ]
    if edges[-1] > n:  # else it would go on with the cycle that the end of the run cuts off
        last = float(family.factors(np.array([float(n)]), n=n, floor=schedule.floor)[0]) * schedule.peak_lr
        stages.append(Stage(call=f"constant_schedule({last!r})", updates=1))
    return stages


def _whole(updates: float) -> float | int:
    return round(updates) if updates == round(updates) else updates


def _linear_stages(schedule: Schedule, *, total_steps: int) -> list[Stage] | NotExpressible:
    lines = linear_pieces(schedule, total_steps=total_steps)
    if lines is None:
        floor = f" with a floor of {schedule.floor:g}" if schedule.floor else ""
        return NotExpressible(reason=f"It has no schedule for {schedule.family.label}{floor}.")
    stages = []
    for line in lines:
        start, end = line.start * schedule.peak_lr, line.end * schedule.peak_lr
        level = line.updates == 1 or start == end
        call = f"linear_schedule({start!r}, {end!r}, transition_steps={line.updates - 1})"
        stages.append(Stage(call=f"constant_schedule({start!r})" if level else call, updates=line.updates))
    return stages


def _native(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    expression = optax_expression(schedule, total_steps=total_steps)
    if isinstance(expression, NotExpressible):
        return expression
    return (
        f"{comment(_USAGE)}\nimport optax\n\n{constants(schedule, total_steps=total_steps)}\n"
        f"learning_rate = {expression}\n"
    )


def _function(schedule: Schedule, *, total_steps: int) -> str:
    function = array_function(schedule_formula(schedule, total_steps=total_steps, single_precision=True), library=JAX)
    imports = f"{'import math' if 'math.' in function else ''}\n\nimport jax.numpy as jnp\n".lstrip()
    return (
        f"{comment(_USAGE)}\n{imports}\n{constants(schedule, total_steps=total_steps)}\n\n{function}\n\n"
        "def learning_rate(count):\n"
        '    """A schedule of optax: the rate of an update; the first is 0."""\n'
        "    return PEAK_LR * lr_factor(count)\n"
    )


def _write(schedule: Schedule, run: TargetRun) -> Export:
    return code(
        schedule,
        run,
        target="optax's own schedules",
        native=_native(schedule, total_steps=run.total_steps),
        function=lambda: _function(schedule, total_steps=run.total_steps),
    )


EXPORTERS: Final = (
    Exporter(
        name="optax",
        description="optax (JAX): its schedules, joined, or a function of jax.numpy.",
        native="constant, linear, cosine, polynomial, exponential, step, multi_step, wsd (linear, cosine), sgdr in "
        "whole updates and piecewise linear ones; with a linear or a constant warm-up or none.",
        requires="optax",
        write=_write,
    ),
)
