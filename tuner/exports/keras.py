"""Export to Keras 3: its native schedules, or a `LearningRateSchedule` with the formulas in ``keras.ops``."""

from __future__ import annotations

import math
from typing import Final

from tuner.exports.analysis import NotExpressible, floor_is_active, run_warmup, step_levels
from tuner.exports.codegen import KERAS, array_function
from tuner.exports.exporter import Export, Exporter, TargetRun, code, comment
from tuner.exports.formula import schedule_formula
from tuner.exports.pytorch import constants
from tuner.schedules import Constant, Cosine, Exponential, Linear, MultiStep, Polynomial, Schedule, Step
from tuner.schedules.lengths import in_updates

_USAGE: Final = (
    "Use: keras.optimizers.AdamW(learning_rate=LEARNING_RATE), for example. Keras stores the count of updates with the "
    "optimizer, so a resumed run continues. With gradient_accumulation_steps=k it counts micro-batches instead: wrap "
    "LEARNING_RATE then in a schedule that calls it with step // k. Rates are float32, whatever floatx is: within 1e-5 "
    "of the peak. A second optimizer (Keras has no parameter groups) has make_learning_rate(its ratio to the first)."
)
_MODULE: Final = "keras.optimizers.schedules"
_CLASS: Final = '''\
@keras.saving.register_keras_serializable(package="tuner")
class TunedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate as a function of the updates done."""

    def __init__(self, peak=PEAK_LR):
        self.peak = peak

    def __call__(self, step):
        return self.peak * lr_factor(step)

    def get_config(self):
        return {"peak": self.peak}
'''
_MAKE: Final = '''\
def make_learning_rate(ratio=1.0):
    """The learning rate of an optimizer, and its ratio to the rate of the first one."""
    peak = ratio * PEAK_LR
    return {expression}


LEARNING_RATE = make_learning_rate()
'''


def keras_expression(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    """The expression, over the module ``keras`` and ``peak``, that equals the schedule; else why there is none."""
    if run_warmup(schedule, total_steps=total_steps).kind != "none":
        return NotExpressible(
            reason="CosineDecay alone has a warm-up, and it begins to decay at the update that ends the warm-up."
        )
    decay = f"peak, decay_steps={total_steps}"
    end = f"end_learning_rate={schedule.floor!r} * peak"
    match schedule.family:
        case Cosine():
            return f"{_MODULE}.CosineDecay({decay}, alpha={schedule.floor!r})"
        case Linear():
            return f"{_MODULE}.PolynomialDecay({decay}, {end}, power=1.0)"
        case Polynomial(power=power):
            return f"{_MODULE}.PolynomialDecay({decay}, {end}, power={power!r})"
        case Exponential() if not floor_is_active(schedule, total_steps=total_steps):
            return _exponential(schedule.family, total_steps=total_steps)
        case Constant() | Step() | MultiStep():
            return _in_steps(schedule, total_steps=total_steps)
    floor = f" with a floor of {schedule.floor:g}" if schedule.floor else ""
    return NotExpressible(reason=f"It has no schedule for {schedule.family.label}{floor}.")


def _exponential(family: Exponential, *, total_steps: int) -> str:
    if family.gamma is None or family.every is None:
        rate = math.exp(-(family.rate or 0.0))
        return f"{_MODULE}.ExponentialDecay(peak, decay_steps={total_steps}, decay_rate={rate!r})"
    every = in_updates(family.every, of=total_steps)
    return f"{_MODULE}.ExponentialDecay(peak, decay_steps={every!r}, decay_rate={family.gamma!r})"


def _in_steps(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    levels = step_levels(schedule, total_steps=total_steps)
    if levels is None:
        return NotExpressible(reason="At most 100 levels of a PiecewiseConstantDecay are written out.")
    if len(levels) == 1:
        return "peak"
    boundaries = [first - 1 for first, _ in levels[1:]]  # Keras changes the value after the boundary
    values = [factor for _, factor in levels]
    return f"{_MODULE}.PiecewiseConstantDecay({boundaries}, [peak * level for level in {values}])"


def _native(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    call = keras_expression(schedule, total_steps=total_steps)
    if isinstance(call, NotExpressible):
        return call
    imports = "import keras\n\n" if call.startswith(_MODULE) else ""
    head = f"{comment(_USAGE)}\n{imports}{constants(schedule, total_steps=total_steps)}"
    return f"{head}\n\n{_MAKE.format(expression=call)}"


def _function(schedule: Schedule, *, total_steps: int) -> str:
    function = array_function(schedule_formula(schedule, total_steps=total_steps, single_precision=True), library=KERAS)
    make = _MAKE.format(expression="TunedSchedule(peak)")
    imports = f"{'import math' if 'math.' in function else ''}\n\nimport keras\nfrom keras import ops\n".lstrip()
    head = f"{comment(_USAGE)}\n{imports}\n{constants(schedule, total_steps=total_steps)}"
    return f"{head}\n\n{function}\n\n{_CLASS}\n\n{make}"


def _write(schedule: Schedule, run: TargetRun) -> Export:
    return code(
        schedule,
        run,
        target="Keras's own schedules",
        native=_native(schedule, total_steps=run.total_steps),
        function=lambda: _function(schedule, total_steps=run.total_steps),
    )


EXPORTERS: Final = (
    Exporter(
        name="keras",
        description="Keras 3, with any backend: a LearningRateSchedule.",
        native="constant, linear, cosine, polynomial, exponential, step and multi_step, without a warm-up.",
        requires="keras",
        write=_write,
    ),
)
