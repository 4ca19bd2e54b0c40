"""Export to Megatron-LM: its flags, or a subclass of its scheduler.

Its warm-up goes from ``--lr-warmup-init`` to the peak at ``--lr-warmup-iters``, where its linear and cosine styles
start to decay; ours reaches the peak one update before the decay starts. Its WSD style holds the peak until the last
``--lr-wsd-decay-iters``, so with ``W - 1`` iterations of warm-up it expresses all of our decays.
"""

from __future__ import annotations

from typing import Final

from tuner.exports.analysis import NotExpressible, RunWarmup, final_decay, nearest_schedule, run_warmup
from tuner.exports.codegen import scalar_function
from tuner.exports.exporter import Export, Exporter, TargetRun, code, comment
from tuner.exports.formula import schedule_formula
from tuner.exports.pytorch import constants
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd

_STYLES: Final = {"linear": "linear", "cosine": "cosine", "1-sqrt": "minus_sqrt"}
_FLAGS: Final = (
    "Use: add FLAGS to the command line of pretrain_gpt.py or a script like it. --train-iters must be TOTAL_UPDATES; "
    "an iteration is one optimizer update of --global-batch-size samples, which must not ramp up. When resuming, leave "
    "--override-opt_param-scheduler as it was: the checkpoint holds the same numbers. With groups of another max_lr "
    "(--decoupled-lr) also return TunedParamScheduler, with the same arguments, from get_optimizer_param_scheduler of "
    "megatron/training/training.py: in Megatron the start of the warm-up is one rate for all groups."
)
_GROUPS: Final = '''\
class TunedParamScheduler(OptimizerParamScheduler):
    """Megatron's scheduler, in which groups with a max_lr of their own keep its ratio to PEAK_LR."""

    def get_lr(self, param_group):
        return param_group.get("max_lr", PEAK_LR) / PEAK_LR * super().get_lr({})
'''
_IMPORT: Final = "from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler\n\n"
_SUBCLASS: Final = (
    "Use: return TunedParamScheduler from get_optimizer_param_scheduler of megatron/training/training.py, where it "
    "returns OptimizerParamScheduler, with the same arguments. Set GLOBAL_BATCH_SIZE to --global-batch-size, which "
    "must not ramp up: Megatron counts samples. Groups with a max_lr of their own follow at its ratio to PEAK_LR."
)
_CLASS: Final = '''\
class TunedParamScheduler(OptimizerParamScheduler):
    """Megatron's scheduler with another learning rate; weight decay, state and checkpoints are Megatron's."""

    def get_lr(self, param_group):
        return param_group.get("max_lr", PEAK_LR) * lr_factor(self.num_steps // GLOBAL_BATCH_SIZE)
'''


def megatron_flags(schedule: Schedule, *, total_steps: int) -> dict[str, object] | NotExpressible:
    """The flags that reproduce the schedule exactly, without their dashes; else why there are none."""
    warmup = run_warmup(schedule, total_steps=total_steps)
    decay = final_decay(schedule, total_steps=total_steps)
    if warmup.kind in ("curved", "constant"):
        return _nearest(schedule, warmup=warmup, total_steps=total_steps, lacks=f"a {schedule.warmup.shape} warm-up")
    flags: dict[str, object] = {"lr": schedule.peak_lr, "min-lr": schedule.floor * schedule.peak_lr}
    if isinstance(schedule.family, Constant):
        flags["lr-decay-style"] = "constant"
    elif decay is not None and decay.shape in _STYLES:
        flags |= {"lr-decay-style": "WSD", "lr-wsd-decay-style": _STYLES[decay.shape]}
        flags["lr-wsd-decay-iters"] = decay.updates
    else:
        return _nearest(schedule, warmup=warmup, total_steps=total_steps, lacks=schedule.family.label)
    flags |= {"lr-decay-iters": total_steps, "train-iters": total_steps, "lr-warmup-iters": max(warmup.updates - 1, 0)}
    if warmup.updates > 1:
        flags["lr-warmup-init"] = warmup.start * schedule.peak_lr
    return flags


def _nearest(schedule: Schedule, *, warmup: RunWarmup, total_steps: int, lacks: str) -> NotExpressible:
    """Why there are no flags, and the error of the nearest schedule that has flags."""
    linear = Warmup(shape="linear", updates=warmup.updates) if warmup.updates else Warmup()
    if schedule.warmup.shape == "linear":
        linear = schedule.warmup
    cooldowns = [Wsd(cooldown=part, shape=shape) for part in (0.1, 0.2, 0.4, 0.8) for shape in ("linear", "1-sqrt")]
    candidates = [
        Schedule(peak_lr=schedule.peak_lr, family=family, warmup=linear, floor=schedule.floor)
        for family in (Constant(), Linear(), Cosine(), *cooldowns)
    ]
    nearest, error, update = nearest_schedule(schedule, candidates, total_steps=total_steps)
    return NotExpressible(
        reason=f"It has no flags for {lacks}. The nearest of its styles, {nearest.family.label}, would be off by up to "
        f"{error:.3g} of the peak, at update {update}."
    )


def _native(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    flags = megatron_flags(schedule, total_steps=total_steps)
    if isinstance(flags, NotExpressible):
        return flags
    lines = "".join(f"--{name} {value}\n" for name, value in flags.items())
    head = f"{comment(_FLAGS)}\n{_IMPORT}{constants(schedule, total_steps=total_steps)}"
    return f'{head}FLAGS = """\n{lines}"""\n\n\n{_GROUPS}'


def _function(schedule: Schedule, run: TargetRun) -> str:
    function = scalar_function(schedule_formula(schedule, total_steps=run.total_steps))
    imports = "import math\n\n" if "math." in function else ""
    batch = "None  # not known here: your --global-batch-size" if run.batch_size is None else run.batch_size
    return (
        f"{comment(_SUBCLASS)}\n{imports}{_IMPORT}"
        f"{constants(schedule, total_steps=run.total_steps)}GLOBAL_BATCH_SIZE = {batch}\n\n\n{function}\n\n{_CLASS}"
    )


def _write(schedule: Schedule, run: TargetRun) -> Export:
    return code(
        schedule,
        run,
        target="Megatron's flags",
        native=_native(schedule, total_steps=run.total_steps),
        function=lambda: _function(schedule, run),
    )


EXPORTERS: Final = (
    Exporter(
        name="megatron",
        description="Megatron-LM: flags, or a subclass of its scheduler.",
        native="constant, linear, cosine and wsd (linear, cosine, 1-sqrt) over whole updates, with a linear warm-up or "
        "none.",
        requires="megatron-core",
        write=_write,
    ),
)
