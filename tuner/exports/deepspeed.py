"""Export to DeepSpeed: its JSON configuration for a constant rate, else a client scheduler.

DeepSpeed's schedulers train the first two updates at the same rate (they compute the rate of update u from u - 1), and
none decays as ours do, so its JSON can express nothing but a constant rate.
"""

from __future__ import annotations

from typing import Final

from tuner.exports.analysis import NotExpressible, run_warmup
from tuner.exports.exporter import Export, Exporter, TargetRun, code, comment
from tuner.exports.pytorch import constants, lambda_code
from tuner.schedules import Constant, Schedule

_JSON: Final = (
    "Use: put CONFIG into DeepSpeed's JSON, which must hold no scheduler: the optimizer's lr then stays. Change the "
    'type of the optimizer to yours, and add its other "params".'
)
_CLIENT: Final = (
    "Use: deepspeed.initialize(model=..., optimizer=optimizer built with lr=PEAK_LR, lr_scheduler=make_scheduler, "
    'config=...), with no "scheduler" in the JSON. DeepSpeed calls step() once per optimizer update, not per '
    "micro-batch, and saves and loads its state."
)


def constant_rate(schedule: Schedule, *, total_steps: int) -> bool | NotExpressible:
    """True when every update trains at the peak, which needs no scheduler; else why DeepSpeed has none."""
    warmup = run_warmup(schedule, total_steps=total_steps)
    if isinstance(schedule.family, Constant) and (warmup.kind == "none" or warmup.start == 1):
        return True
    return NotExpressible(
        reason="Its WarmupLR, WarmupDecayLR, WarmupCosineLR and OneCycle compute the rate of update u from u - 1, so "
        "that updates 0 and 1 train at the same rate, the lowest one."
    )


def _native(schedule: Schedule, run: TargetRun) -> str | NotExpressible:
    constant = constant_rate(schedule, total_steps=run.total_steps)
    if isinstance(constant, NotExpressible):
        return constant
    kind = "SGD" if run.optimizer.lower() == "sgd" else "AdamW"
    batch = "" if run.batch_size is None else f'    "train_batch_size": {run.batch_size},\n'
    optimizer = f'    "optimizer": {{"type": "{kind}", "params": {{"lr": PEAK_LR}}}},\n'
    return f"{comment(_JSON)}\n{constants(schedule, total_steps=run.total_steps)}CONFIG = {{\n{batch}{optimizer}}}\n"


def _write(schedule: Schedule, run: TargetRun) -> Export:
    return code(
        schedule,
        run,
        target="DeepSpeed's JSON",
        native=_native(schedule, run),
        function=lambda: f"{comment(_CLIENT)}\n{lambda_code(schedule, total_steps=run.total_steps)}",
    )


EXPORTERS: Final = (
    Exporter(
        name="deepspeed",
        description="DeepSpeed: JSON, or a client scheduler for deepspeed.initialize.",
        native="constant without a warm-up.",
        requires="deepspeed",
        write=_write,
    ),
)
