"""Exports of reduce on plateau: the library's own class, where it reduces at the same evaluations by the same factor.

There is no function of the update to write instead. So what a library cannot express is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tuner.errors import InvalidValue
from tuner.exports.codegen import scalar_function
from tuner.exports.exporter import Export, TargetRun, comment, header
from tuner.exports.formats import ExportFormat
from tuner.exports.formula import schedule_formula
from tuner.exports.pytorch import checked, constants
from tuner.schedules import Constant, ReduceOnPlateau, Schedule

_EVALUATIONS: Final = 20
"""Of a run of the tuner that chooses none itself; patience and cooldown count them."""
_ALWAYS: Final = '"torch" and "schedule-lr" express every one.'
_WITH_WARMUP: Final = (
    '"torch" has a class for a loop of your own; "schedule-lr" is a scheduler for the trainers of PyTorch, with '
    "observe(loss) after each evaluation. Or search without a warm-up."
)
_BUILD: Final = (
    "Build the optimizer with lr=PEAK_LR and all its parameter groups, then scheduler = make_scheduler(optimizer). To "
    "resume, load the state_dict of both, the scheduler's last."
)
_MAKE: Final = """\
def make_scheduler(optimizer, reference=None):
    check_lr(optimizer if reference is None else reference)
    check_groups(optimizer)
"""
_NATIVE: Final = (
    "Call scheduler.step({metric}) once after each evaluation, not after an update; as often as in tuning, since "
    "patience and cooldown count evaluations."
)
_AFTER_WARMUP: Final = (
    "Call scheduler.step() once after each update, and scheduler.evaluated({metric}) once after each evaluation, as "
    "often as in tuning, since patience and cooldown count evaluations."
)
_REDUCE: Final = """\
ReduceLROnPlateau(
{indent}    optimizer,
{indent}    {arguments},
{indent}    min_lr=[{floor} * group["lr"] for group in optimizer.param_groups],
{indent})"""
_WARMUP_CLASS: Final = '''\
WARMUP_UPDATES = {warmup}


class WarmupThenReduce:
    """A warm-up, and then PyTorch's ReduceLROnPlateau, which cannot follow another scheduler."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.updates = 0
        self.reduce = {reduce}
        self.peaks = [group["lr"] for group in optimizer.param_groups]
        self._set(0)

    def step(self):
        self.updates += 1
        if self.updates <= WARMUP_UPDATES:
            self._set(self.updates)

    def evaluated(self, value):
        if self.updates > WARMUP_UPDATES:  # evaluations in the warm-up do not count
            self.reduce.step(value)

    def _set(self, update):
        for group, peak in zip(self.optimizer.param_groups, self.peaks):
            group["lr"] = peak * lr_factor(update)

    def state_dict(self):
        rates = [group["lr"] for group in self.optimizer.param_groups]
        return {{"updates": self.updates, "rates": rates, "reduce": self.reduce.state_dict()}}

    def load_state_dict(self, state):
        self.updates = state["updates"]
        self.reduce.load_state_dict(state["reduce"])
        for group, rate in zip(self.optimizer.param_groups, state["rates"]):
            group["lr"] = rate


{make}    return WarmupThenReduce(optimizer)
'''
_LIGHTNING: Final = '''\
def with_schedule(optimizer):
    """What configure_optimizers returns; log {monitor} in validation_step."""
    scheduler = {{"scheduler": make_scheduler(optimizer), "monitor": "{monitor}", "interval": "epoch", "frequency": 1}}
    return {{"optimizer": optimizer, "lr_scheduler": scheduler}}
'''
_LIGHTNING_USAGE: Final = (
    "Use: in your LightningModule, build the optimizer with lr=PEAK_LR in configure_optimizers, and return "
    "with_schedule(optimizer). Lightning steps it after the validation of each epoch; where you validate every N "
    'batches, let interval be "step" and frequency N. Patience and cooldown count validations: as many as in tuning.'
)
_TRAINER_USAGE: Final = (
    "Use: TrainingArguments(output_dir=..., **ARGUMENTS). The Trainer steps it after every evaluation; patience and "
    "cooldown count them, so eval_steps is that of tuning. metric_for_best_model is your name of the metric."
)
_KERAS_USAGE: Final = (
    "Use: an optimizer with learning_rate=PEAK_LR, and model.fit(..., callbacks=[REDUCE]). It counts the validation at "
    "the end of each epoch: as many as there were evaluations in tuning. Rates are float32. It has no eps: a reduction "
    "by no more than {eps:g}, which PyTorch leaves out, it makes."
)


def export_following(schedule: Schedule, *, format: ExportFormat, run: TargetRun) -> Export:
    """Export a schedule that follows the loss.

    Args:
        schedule: Of the family reduce on plateau.
        format: Where to.
        run: The training run.

    Raises:
        InvalidValue: The format has nothing that is equal; the error gives the reason.
    """
    schedule.lr(0, total_steps=run.total_steps)
    write = _WRITERS.get(format)
    if write is None:
        raise _refused(format, _NO_FUNCTION.get(format, "it has no class that reduces as torch's does"))
    return write(schedule, run)


def _torch(schedule: Schedule, run: TargetRun) -> Export:
    after_warmup = schedule.warmup.length(run.total_steps) > 0
    usage = (_AFTER_WARMUP if after_warmup else _NATIVE).format(metric=_value_name(run))
    exactness = "" if after_warmup else "Exactly this schedule, in the terms of PyTorch."
    comments = "".join(comment(text) for text in (exactness, _BUILD, usage) if text)
    return Export(chunks=[header(schedule, run), comments, "\n", _torch_code(schedule, run)])


def _torch_code(schedule: Schedule, run: TargetRun, *, more: str = "") -> str:
    warmup, total = schedule.warmup.length(run.total_steps), run.total_steps
    imports = "from torch.optim.lr_scheduler import ReduceLROnPlateau\n"
    if not warmup:
        body = f"{_MAKE}    return {_reduce(schedule, run, indent='    ')}\n{more}"
        return checked(schedule, total_steps=total, imports=imports, body=body)
    rise = schedule.model_copy(update={"family": Constant()})
    function = scalar_function(schedule_formula(rise, total_steps=total))
    reduce = _reduce(schedule, run, indent="        ")
    body = f"{function}\n\n{_WARMUP_CLASS.format(warmup=warmup, reduce=reduce, make=_MAKE)}"
    math = "import math\n\n" if "math." in function else ""
    return checked(schedule, total_steps=total, imports=f"{math}{imports}", body=body)


def _reduce(schedule: Schedule, run: TargetRun, *, indent: str) -> str:
    arguments = f",\n{indent}    ".join(
        f"{name}={json.dumps(value)}" for name, value in _arguments(schedule, run).items()
    )
    return _REDUCE.format(indent=indent, arguments=arguments, floor=repr(schedule.floor))


def _arguments(schedule: Schedule, run: TargetRun) -> dict[str, Any]:
    """Of torch's class, but ``min_lr``."""
    family = _family(schedule)
    return {
        "mode": "max" if run.metric.maximized else "min",
        "factor": family.factor,
        "patience": family.patience,
        "threshold": family.threshold,
        "threshold_mode": "rel" if family.threshold_mode == "relative" else "abs",
        "cooldown": family.cooldown,
        "eps": family.eps,
    }


def _lightning(schedule: Schedule, run: TargetRun) -> Export:
    _refuse_warmup(schedule, run, format=ExportFormat.LIGHTNING)
    monitor = run.metric.name if run.metric.maximized else "val_loss"
    body = _torch_code(schedule, run, more=f"\n\n{_LIGHTNING.format(monitor=monitor)}")
    return Export(chunks=[header(schedule, run), comment(_LIGHTNING_USAGE), "\n", body])


def _huggingface(schedule: Schedule, run: TargetRun) -> Export:
    _refuse_warmup(schedule, run, format=ExportFormat.HUGGINGFACE)
    arguments: Mapping[str, Any] = {
        "learning_rate": schedule.peak_lr,
        "lr_scheduler_type": "reduce_lr_on_plateau",
        "lr_scheduler_kwargs": {**_arguments(schedule, run), "min_lr": schedule.floor * schedule.peak_lr},
        "metric_for_best_model": f"eval_{run.metric.name}" if run.metric.maximized else "eval_loss",
        "greater_is_better": run.metric.maximized,
        "eval_strategy": "steps",
        "eval_steps": max(run.total_steps // _EVALUATIONS, 1),
        "max_steps": run.total_steps,
    }
    lines = "".join(f"    {name!r}: {value!r},\n" for name, value in arguments.items()).replace("'", '"')
    body = f"{constants(schedule, total_steps=run.total_steps)}ARGUMENTS = {{\n{lines}}}\n"
    return Export(chunks=[header(schedule, run), comment(_TRAINER_USAGE), "\n", body])


def _keras(schedule: Schedule, run: TargetRun) -> Export:
    _refuse_warmup(schedule, run, format=ExportFormat.KERAS)
    family = _family(schedule)
    if family.threshold_mode == "relative" and family.threshold > 0:
        reason = 'its min_delta is a difference of losses: take threshold_mode "absolute", or a threshold of 0'
        raise _refused(ExportFormat.KERAS, reason)
    arguments = {
        "monitor": f"val_{run.metric.name}" if run.metric.maximized else "val_loss",
        "mode": "max" if run.metric.maximized else "min",
        "factor": family.factor,
        "patience": family.patience + 1,
        "cooldown": family.cooldown + 1,
        "min_delta": family.threshold,
        "min_lr": schedule.floor * schedule.peak_lr,
    }
    lines = "".join(f"    {name}={json.dumps(value)},\n" for name, value in arguments.items())
    note = "Keras reduces at the last of its patience evaluations, and counts the last one of a cooldown."
    body = (
        f"import keras\n\n{constants(schedule, total_steps=run.total_steps)}\n{comment(note)}"
        f"REDUCE = keras.callbacks.ReduceLROnPlateau(\n{lines})\n"
    )
    return Export(chunks=[header(schedule, run), comment(_KERAS_USAGE.format(eps=family.eps)), "\n", body])


def _refuse_warmup(schedule: Schedule, run: TargetRun, *, format: ExportFormat) -> None:
    if schedule.warmup.length(run.total_steps):
        raise _refused(format, "its class cannot come after a warm-up", hint=_WITH_WARMUP)


def _refused(format: ExportFormat, reason: str, *, hint: str = _ALWAYS) -> InvalidValue:
    return InvalidValue(
        "format",
        value=format.value,
        allowed=f"another one for reduce_on_plateau, as {reason}",
        hint=hint,
    )


def _family(schedule: Schedule) -> ReduceOnPlateau:
    assert isinstance(schedule.family, ReduceOnPlateau)  # no other family follows the loss
    return schedule.family


def _value_name(run: TargetRun) -> str:
    return run.metric.name if run.metric.maximized else "val_loss"


_RATES: Final = "its rates follow the losses of a run, and are not known before it"
_NO_FUNCTION: Final = {
    ExportFormat.CSV: _RATES,
    ExportFormat.PYTHON: _RATES,
    ExportFormat.TIMM: "timm does not store the counters of its plateau scheduler, and will remove it",
    ExportFormat.OPTAX: "optax.contrib.reduce_on_plateau counts its patience in updates, and has no eps",
}
_WRITERS: Final[Mapping[ExportFormat, Callable[[Schedule, TargetRun], Export]]] = {
    ExportFormat.TORCH: _torch,
    ExportFormat.TORCH_BUILTIN: _torch,
    ExportFormat.LIGHTNING: _lightning,
    ExportFormat.HUGGINGFACE: _huggingface,
    ExportFormat.KERAS: _keras,
}
WITH_THIS_PROJECT: Final = (ExportFormat.JSON, ExportFormat.RECORD, ExportFormat.SCHEDULE_LR)
"""Formats that need no class of a library: their exporters write any schedule."""
