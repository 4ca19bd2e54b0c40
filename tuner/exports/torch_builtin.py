"""Export to the schedulers of PyTorch itself, where they are exact."""

from __future__ import annotations

import math
import re
from typing import Final

from tuner.exports.analysis import (
    NotExpressible,
    drop_updates,
    final_decay,
    floor_is_active,
    linear_pieces,
    run_warmup,
    step_levels,
)
from tuner.exports.codegen import Stage, stage_ends
from tuner.exports.exporter import Export, Exporter, TargetRun, code, comment
from tuner.exports.pytorch import MAKE, STEPPING, checked, lambda_code
from tuner.schedules import Cyclic, Exponential, MultiStep, OneCycle, Polynomial, Schedule, Sgdr, Step
from tuner.schedules.families.cycles import cycle_edges
from tuner.schedules.lengths import in_updates, updates_within

_LIMITS: Final = (
    "Train no further than TOTAL_UPDATES: from there on some of PyTorch's schedulers rise again, and OneCycleLR raises."
)
_PEAKS: Final = """\
    peaks = [group.setdefault("max_lr", group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
"""
_HOLD: Final = "ConstantLR(optimizer, factor=1.0, total_iters=1)"


def builtin_code(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    """Code of ``make_scheduler(optimizer)`` with the schedulers of PyTorch; else why there is none."""
    rise = _warmup_stages(schedule, total_steps=total_steps)
    if isinstance(rise, NotExpressible):
        return rise
    rest = _main_stages(schedule, total_steps=total_steps)
    if isinstance(rest, NotExpressible):
        return rest
    stages = [*rise, *rest]
    names = sorted({*re.findall(r"\b[A-Z]\w+(?=\()", " ".join(stage.call for stage in stages))} | _sequential(stages))
    imports = "from torch.optim.lr_scheduler import (\n" + "".join(f"    {name},\n" for name in names) + ")\n"
    body = f"{MAKE}{_chained(stages)}"
    return checked(schedule, total_steps=total_steps, imports=imports, body=body)


def _sequential(stages: list[Stage]) -> set[str]:
    return {"SequentialLR"} if len(stages) > 1 else set()


def _chained(stages: list[Stage]) -> str:
    if len(stages) == 1:
        peaks = _PEAKS if "peaks" in stages[0].call else ""
        return f"{peaks}    return {stages[0].call}\n"
    ends = stage_ends(stages)
    calls = "".join(f"        {stage.call},\n" for stage in stages)
    return f"    stages = [\n{calls}    ]\n    return SequentialLR(optimizer, stages, milestones={ends})\n"


def _warmup_stages(schedule: Schedule, *, total_steps: int) -> list[Stage] | NotExpressible:
    warmup = run_warmup(schedule, total_steps=total_steps)
    match warmup.kind:
        case "none":
            return []
        case "constant":
            call = f"ConstantLR(optimizer, factor={warmup.start!r}, total_iters={warmup.updates})"
        case "linear" if warmup.updates == 1:
            call = _HOLD
        case "linear":
            call = (
                f"LinearLR(optimizer, start_factor={warmup.start!r}, end_factor=1.0, total_iters={warmup.updates - 1})"
            )
        case _:
            return NotExpressible(reason=f"PyTorch has no {schedule.warmup.shape} warm-up.")
    return [Stage(call=call, updates=warmup.updates)]


def _main_stages(schedule: Schedule, *, total_steps: int) -> list[Stage] | NotExpressible:
    n = total_steps - schedule.warmup.length(total_steps)
    call: str | NotExpressible
    match schedule.family:
        case Step() | MultiStep():
            call = _steps(schedule, total_steps=total_steps)
        case Exponential():
            call = _exponential(schedule.family, schedule, total_steps=total_steps, n=n)
        case Polynomial() if schedule.floor == 0:
            call = f"PolynomialLR(optimizer, total_iters={n}, power={schedule.family.power!r})"
        case Sgdr():
            call = _restarts(schedule.family, schedule, n=n)
        case OneCycle():
            call = _one_cycle(schedule.family, schedule, n=n)
        case Cyclic():
            call = _cyclic(schedule.family, schedule, n=n)
        case _:
            return _descent(schedule, total_steps=total_steps, n=n)
    return call if isinstance(call, NotExpressible) else [Stage(call=call, updates=n)]


def _descent(schedule: Schedule, *, total_steps: int, n: int) -> list[Stage] | NotExpressible:
    decay = final_decay(schedule, total_steps=total_steps)
    if decay is not None and decay.shape in ("linear", "cosine"):
        if decay.shape == "cosine" and schedule.floor:
            return _one_floor("CosineAnnealingLR")
        d = decay.updates
        call = (
            f"LinearLR(optimizer, start_factor=1.0, end_factor={schedule.floor!r}, total_iters={d})"
            if decay.shape == "linear"
            else f"CosineAnnealingLR(optimizer, T_max={d})"
        )
        stable = [Stage(call=_HOLD, updates=n - d)] if d < n else []
        return [*stable, Stage(call=call, updates=d)]
    lines = linear_pieces(schedule, total_steps=total_steps)
    if lines is None:
        return NotExpressible(reason=f"PyTorch has no scheduler for {schedule.family.label}{_floored(schedule)}.")
    if any(line.start == 0 for line in lines):
        return NotExpressible(reason="LinearLR cannot start at a rate of 0.")
    stages = []
    for line in lines:
        last = line.updates - 1
        straight = f"LinearLR(optimizer, start_factor={line.start!r}, end_factor={line.end!r}, total_iters={last})"
        constant = f"ConstantLR(optimizer, factor={line.start!r}, total_iters={line.updates})"
        stages.append(Stage(call=straight if last and line.start != line.end else constant, updates=line.updates))
    return stages


def _one_floor(name: str) -> NotExpressible:
    return NotExpressible(
        reason=f"The floor of {name} is one rate for all parameter groups, so that smaller ones would not keep their "
        "ratios."
    )


def _floored(schedule: Schedule) -> str:
    return f" with a floor of {schedule.floor:g}" if schedule.floor else ""


def _steps(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    family = schedule.family
    assert isinstance(family, Step | MultiStep)
    if isinstance(family, Step) and not floor_is_active(schedule, total_steps=total_steps):
        every = in_updates(family.every, of=total_steps - schedule.warmup.length(total_steps))
        if every == round(every):
            return f"StepLR(optimizer, step_size={round(every)}, gamma={family.gamma!r})"
    levels = step_levels(schedule, total_steps=total_steps)
    drops = None if levels is None else drop_updates(levels, gamma=family.gamma)
    if drops is None:
        return NotExpressible(reason="MultiStepLR has no floor, and no more than 100 milestones are written out.")
    return f"MultiStepLR(optimizer, milestones={drops}, gamma={family.gamma!r})"


def _exponential(family: Exponential, schedule: Schedule, *, total_steps: int, n: int) -> str | NotExpressible:
    if floor_is_active(schedule, total_steps=total_steps):
        return NotExpressible(reason="ExponentialLR has no floor.")
    if family.gamma is None or family.every is None:
        gamma = math.exp(-(family.rate or 0.0) / n)
    else:
        gamma = family.gamma ** (1 / in_updates(family.every, of=n))
    return f"ExponentialLR(optimizer, gamma={gamma!r})"


def _restarts(family: Sgdr, schedule: Schedule, *, n: int) -> str | NotExpressible:
    edges = cycle_edges(family, n=n).tolist()
    several = len(edges) > 2
    if any(edge != round(edge) for edge in edges):
        return NotExpressible(reason="CosineAnnealingWarmRestarts restarts after whole updates only.")
    if several and family.multiplier != round(family.multiplier):
        return NotExpressible(reason="CosineAnnealingWarmRestarts takes whole numbers as T_mult only.")
    if schedule.floor:
        return _one_floor("CosineAnnealingWarmRestarts")
    multiplier = round(family.multiplier) if several else 1
    return f"CosineAnnealingWarmRestarts(optimizer, T_0={round(edges[1])}, T_mult={multiplier})"


def _one_cycle(family: OneCycle, schedule: Schedule, *, n: int) -> str | NotExpressible:
    rise, start = updates_within(family.rise, of=n, field="family.rise"), max(family.start_factor, schedule.floor)
    if start == 0:
        return NotExpressible(reason="OneCycleLR cannot start at a rate of 0.")
    end = f"final_div_factor={start / schedule.floor!r}" if schedule.floor else 'final_div_factor=float("inf")'
    shape = {"cosine": "cos", "linear": "linear"}[family.shape]
    return (
        f"OneCycleLR(optimizer, max_lr=peaks, total_steps={n + 1}, pct_start={(rise + 1) / (n + 1)!r}, "
        f'anneal_strategy="{shape}", div_factor={1 / start!r}, {end}, cycle_momentum=False)'
    )


def _cyclic(family: Cyclic, schedule: Schedule, *, n: int) -> str:
    length = n / (family.cycles or 1) if family.period is None else in_updates(family.period, of=n)
    gamma = "" if family.gamma is None else f" gamma={family.gamma ** (1 / length)!r},"
    return (
        f"CyclicLR(optimizer, base_lr=[{schedule.floor!r} * peak for peak in peaks], max_lr=peaks, "
        f"step_size_up={length * family.rise!r}, step_size_down={length * (1 - family.rise)!r}, "
        f'mode="{family.mode}",{gamma} cycle_momentum=False)'
    )


def _write(schedule: Schedule, run: TargetRun) -> Export:
    native = builtin_code(schedule, total_steps=run.total_steps)
    return code(
        schedule,
        run,
        target="PyTorch's own schedulers",
        native=native if isinstance(native, NotExpressible) else f"{comment(STEPPING)}{comment(_LIMITS)}\n{native}",
        function=lambda: f"{comment(STEPPING)}\n{lambda_code(schedule, total_steps=run.total_steps)}",
    )


EXPORTERS: Final = (
    Exporter(
        name="torch-builtin",
        description="PyTorch: its own schedulers, joined by SequentialLR.",
        native="constant, linear, step, multi_step, exponential, one_cycle, cyclic, wsd (linear) and piecewise linear "
        "ones; cosine, wsd (cosine), sgdr and polynomial without a floor; with a linear or a constant warm-up.",
        requires="torch",
        write=_write,
    ),
)
