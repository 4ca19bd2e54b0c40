"""Export to Composer: its native schedulers where they are exact, else a `LambdaLR`.

Composer's Trainer steps its schedulers before it counts the batch, so that the rate of update u is computed at time
u - 1: updates 0 and 1 train at the rate of time 0. So only schedules that are constant over these two updates can be
expressed, one batch earlier. PyTorch's schedulers count their own steps.
"""

from __future__ import annotations

from typing import Final

from tuner.exports.analysis import NotExpressible, drop_updates, run_warmup, step_levels
from tuner.exports.exporter import Export, Exporter, TargetRun, code, comment
from tuner.exports.pytorch import constants, lambda_code
from tuner.schedules import Constant, MultiStep, Schedule, Step

_USAGE: Final = (
    "Use: Trainer(..., schedulers=SCHEDULER, optimizers=optimizer built with lr=PEAK_LR, "
    'max_duration=f"{TOTAL_UPDATES}ba"). A batch of Composer is one optimizer update, micro-batches included. Leave '
    "scale_schedule_ratio at 1: export again for another length."
)
_CALLABLE: Final = (
    "Use: Trainer(..., schedulers=make_scheduler(optimizer), step_schedulers_every_batch=True, optimizers=optimizer "
    'built with lr=PEAK_LR, max_duration=f"{TOTAL_UPDATES}ba"). Without step_schedulers_every_batch Composer steps it '
    "once per epoch. A batch of Composer is one optimizer update, micro-batches included. Its checkpoints "
    "hold the state."
)
_ONE_UPDATE_LATE: Final = NotExpressible(
    reason="Its Trainer asks its own schedulers for the rate of update u at time u - 1, and takes one of them alone, "
    "so that nothing but a level, and drops from it after update 1, comes at its time."
)


def composer_call(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    """The call of the one Composer scheduler that reproduces the schedule under its Trainer.

    Several schedulers cannot be combined: each sets the rate by itself, so that the last one counts.
    """
    warmup = run_warmup(schedule, total_steps=total_steps)
    if isinstance(schedule.family, Constant) and warmup.start == 1:
        return "ConstantScheduler()"
    if isinstance(schedule.family, Constant) and warmup.kind == "constant" and warmup.updates > 1:
        return f'ConstantScheduler(alpha={warmup.start!r}, t_max="{warmup.updates - 1}ba")'
    if isinstance(schedule.family, Step | MultiStep) and warmup.kind == "none":
        return _in_steps(schedule, gamma=schedule.family.gamma, total_steps=total_steps)
    return _ONE_UPDATE_LATE


def _in_steps(schedule: Schedule, *, gamma: float, total_steps: int) -> str | NotExpressible:
    levels = step_levels(schedule, total_steps=total_steps)
    drops = None if levels is None else drop_updates(levels, gamma=gamma)
    if drops is None:
        return NotExpressible(reason="MultiStepScheduler has no floor, and at most 100 milestones are written out.")
    if 1 in drops:
        return _ONE_UPDATE_LATE
    milestones = ", ".join(f'"{drop - 1}ba"' for drop in drops)
    return f"MultiStepScheduler(milestones=[{milestones}], gamma={gamma!r})"


def _native(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    call = composer_call(schedule, total_steps=total_steps)
    if isinstance(call, NotExpressible):
        return call
    return (
        f"{comment(_USAGE)}\nfrom composer.optim import {call.partition('(')[0]}\n\n"
        f"{constants(schedule, total_steps=total_steps)}SCHEDULER = {call}\n"
    )


def _write(schedule: Schedule, run: TargetRun) -> Export:
    return code(
        schedule,
        run,
        target="Composer's own schedulers",
        native=_native(schedule, total_steps=run.total_steps),
        function=lambda: f"{comment(_CALLABLE)}\n{lambda_code(schedule, total_steps=run.total_steps)}",
    )


EXPORTERS: Final = (
    Exporter(
        name="composer",
        description="Composer (mosaicml): its schedulers, or a LambdaLR.",
        native="constant, with a constant warm-up or none; step and multi_step without one.",
        requires="mosaicml",
        write=_write,
    ),
)
