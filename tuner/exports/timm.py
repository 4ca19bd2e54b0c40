"""Export to timm: its native schedulers, counting updates.

Its warm-up rises by equal steps from ``warmup_lr_init`` to the peak at update ``warmup_t``, where the decay starts;
ours reaches the peak one update before the decay starts. So only schedules that hold the peak for an update after
``warmup_t = W - 1`` can be expressed: those of ``WSDLRScheduler``, and step schedules.
"""

from __future__ import annotations

from typing import Final

from tuner.exports.analysis import (
    NotExpressible,
    RunWarmup,
    drop_updates,
    final_decay,
    floor_is_active,
    run_warmup,
    step_levels,
)
from tuner.exports.exporter import Export, Exporter, TargetRun, code, comment
from tuner.exports.pytorch import checked, scalar_code
from tuner.schedules import Constant, Cosine, InverseSqrt, MultiStep, Polynomial, Schedule, Sgdr, Step
from tuner.schedules.families.cycles import cycle_edges
from tuner.schedules.lengths import in_updates

_STEPPING: Final = (
    "Build the optimizer with lr=PEAK_LR, then scheduler = make_scheduler(optimizer), and call "
    "scheduler.step_update(update + 1) after optimizer.step() of each update. To resume, call scheduler.step_update("
    "updates done): it holds no state. Of several optimizers, the first has lr=PEAK_LR: make_scheduler(other, "
    "reference=first) for each other one. timm calls the class with t_in_epochs=False, as train.py --sched-on-updates."
)
_DECAYS: Final = {
    "linear": 'decay_fn="linear"',
    "cosine": 'decay_fn="cosine"',
    "1-sqrt": 'decay_fn="1-sqrt"',
    "exponential": 'decay_fn="exp", decay_ratio=0.01',
}
_CLASS: Final = '''\
class TunedScheduler(Scheduler):
    """A scheduler of timm whose rate is a function of the updates done."""

    def __init__(self, optimizer):
        super().__init__(optimizer, param_group_field="lr", t_in_epochs=False)
        self.update_groups(self._get_lr(0))

    def _get_lr(self, t):
        return [value * lr_factor(t) for value in self.base_values]


def make_scheduler(optimizer, reference=None):
    check_lr(optimizer if reference is None else reference)
    return TunedScheduler(optimizer)
'''
_MAKE: Final = """\
def make_scheduler(optimizer, reference=None):
    check_lr(optimizer if reference is None else reference)
    for group in optimizer.param_groups:  # floors and starts are rates in timm; lr_scale scales them with the rest
        ratio = group.get("initial_lr", group["lr"]) / PEAK_LR
        group.update(lr=PEAK_LR, initial_lr=PEAK_LR, lr_scale=ratio * group.get("lr_scale", 1.0))
"""


def timm_call(schedule: Schedule, *, total_steps: int) -> tuple[str, str] | NotExpressible:
    """Class and further arguments of the timm scheduler that equals the schedule; else why there is none."""
    warmup = run_warmup(schedule, total_steps=total_steps)
    if warmup.kind in ("curved", "constant"):
        return NotExpressible(reason=f"Its warm-up is linear, this one is {schedule.warmup.shape}.")
    if isinstance(schedule.family, Constant | Step | MultiStep):
        return _in_steps(schedule, warmup=warmup, total_steps=total_steps)
    if warmup.kind == "none" and (found := _without_warmup(schedule, total_steps=total_steps)):
        return found
    decay = final_decay(schedule, total_steps=total_steps)
    if decay is None or decay.shape not in _DECAYS:
        where = " after a warm-up" if warmup.updates else ""
        floor = f" with a floor of {schedule.floor:g}" if schedule.floor else ""
        return NotExpressible(reason=f"It has no scheduler for {schedule.family.label}{floor}{where}.")
    warmup_t = max(warmup.updates - 1, 0)
    lengths = f"t_initial={total_steps - warmup_t}, decay_t={decay.updates}"
    ends = f"lr_min={schedule.floor * schedule.peak_lr!r}, {_DECAYS[decay.shape]}"
    return "WSDLRScheduler", f"{lengths}, {ends}{_warmup_arguments(schedule, warmup)}"


def _warmup_arguments(schedule: Schedule, warmup: RunWarmup) -> str:
    if warmup.updates < 2:
        return ""
    return f", warmup_t={warmup.updates - 1}, warmup_lr_init={warmup.start * schedule.peak_lr!r}"


def _in_steps(schedule: Schedule, *, warmup: RunWarmup, total_steps: int) -> tuple[str, str] | NotExpressible:
    gamma = 1.0 if isinstance(schedule.family, Constant) else _gamma(schedule)
    levels = step_levels(schedule, total_steps=total_steps)
    drops = None if levels is None else drop_updates(levels, gamma=gamma) if gamma < 1 else []
    if drops is None:
        return NotExpressible(reason="MultiStepLRScheduler has no floor, and at most 100 drops are written out.")
    at = [warmup.updates + drop + 1 for drop in drops]  # it drops one update before decay_t
    arguments = f"{_warmup_arguments(schedule, warmup)}, warmup_prefix=False" if warmup.updates else ""
    return "MultiStepLRScheduler", f"decay_t={at}, decay_rate={gamma!r}{arguments}"


def _gamma(schedule: Schedule) -> float:
    assert isinstance(schedule.family, Step | MultiStep)
    return schedule.family.gamma


def _without_warmup(schedule: Schedule, *, total_steps: int) -> tuple[str, str] | None:
    low = f"lr_min={schedule.floor * schedule.peak_lr!r}"
    match schedule.family:
        case Cosine():
            return "CosineLRScheduler", f"t_initial={total_steps}, {low}"
        case Polynomial(power=power):
            return "PolyLRScheduler", f"t_initial={total_steps}, power={power!r}, {low}"
        case Sgdr(multiplier=1.0):
            edges = cycle_edges(schedule.family, n=total_steps).tolist()
            if edges[1] == round(edges[1]):
                return "CosineLRScheduler", f"t_initial={round(edges[1])}, cycle_limit={len(edges) - 1}, {low}"
        case InverseSqrt(timescale=timescale) if not floor_is_active(schedule, total_steps=total_steps):
            scale = f'stable_fn="rsqrt", stable_timescale={in_updates(timescale, of=total_steps)!r}'
            return "WSDLRScheduler", f"t_initial={total_steps + 1}, decay_t=1, {scale}"
    return None


def _native(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    found = timm_call(schedule, total_steps=total_steps)
    if isinstance(found, NotExpressible):
        return found
    name, arguments = found
    body = f"{_MAKE}    return {name}(optimizer, {arguments}, t_in_epochs=False)\n"
    imports = f"from timm.scheduler.{_MODULES[name]} import {name}\n"
    return (
        f"{comment(_STEPPING)}\n{checked(schedule, total_steps=total_steps, imports=imports, body=body, scales=True)}"
    )


_MODULES: Final = {
    "CosineLRScheduler": "cosine_lr",
    "MultiStepLRScheduler": "multistep_lr",
    "PolyLRScheduler": "poly_lr",
    "WSDLRScheduler": "wsd_lr",
}


def _function(schedule: Schedule, *, total_steps: int) -> str:
    imports = "from timm.scheduler.scheduler import Scheduler\n"
    body = scalar_code(schedule, total_steps=total_steps, imports=imports, body=_CLASS, scales=True)
    return f"{comment(_STEPPING)}\n{body}"


def _write(schedule: Schedule, run: TargetRun) -> Export:
    return code(
        schedule,
        run,
        target="timm's own schedulers",
        native=_native(schedule, total_steps=run.total_steps),
        function=lambda: _function(schedule, total_steps=run.total_steps),
    )


EXPORTERS: Final = (
    Exporter(
        name="timm",
        description="timm: one of its schedulers, in updates.",
        native="constant, linear, cosine, wsd, step and multi_step, with a linear warm-up or none; polynomial, "
        "inverse_sqrt and sgdr with cycles of whole updates, without one.",
        requires="timm",
        write=_write,
    ),
)
