"""Export to the Trainer of Hugging Face transformers: keywords of TrainingArguments where they are exact.

Its warm-up is ``u / W``, from 0; ours is ``(u + 1) / W``, up to 1. So most schedules with a warm-up have no exact
keywords. ``warmup_stable_decay`` starts elsewhere: it rises from ``min_lr_ratio`` and is 1 from update W on. With one
warm-up update fewer and ``min_lr_ratio`` equal to our first factor, the two are equal, update for update.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from tuner.exports.analysis import Decay, NotExpressible, RunWarmup, final_decay, run_warmup
from tuner.exports.exporter import Export, Exporter, TargetRun, code, comment
from tuner.exports.pytorch import constants, lambda_code
from tuner.schedules import Constant, Cosine, InverseSqrt, Linear, Polynomial, Schedule, Sgdr
from tuner.schedules.families.cycles import whole_cycles

_ARGUMENTS: Final = (
    "Use: TrainingArguments(output_dir=..., **ARGUMENTS). They read the same in transformers 4 and 5: version 5 has no "
    "warmup_ratio any more, and whole numbers of warmup_steps are counts in both. max_steps counts optimizer updates, "
    "for any gradient_accumulation_steps."
)
_CALLABLE: Final = (
    "Use: trainer = with_schedule(Trainer(..., args=TrainingArguments(output_dir=..., learning_rate=PEAK_LR, "
    "max_steps=TOTAL_UPDATES))). The Trainer builds its own optimizer, with its groups without weight decay; one of "
    "yours, built with lr=PEAK_LR, goes to optimizers=(optimizer, None). The Trainer steps the scheduler once per "
    "optimizer update, and saves and loads its state."
)
_BODY: Final = '''\
def with_schedule(trainer):
    """The trainer, which will follow the schedule instead of its lr_scheduler_type."""

    def create_scheduler(num_training_steps, optimizer=None):
        trainer.lr_scheduler = make_scheduler(trainer.optimizer if optimizer is None else optimizer)
        trainer._created_lr_scheduler = True  # a second train() creates a new one
        return trainer.lr_scheduler

    trainer.create_scheduler = create_scheduler
    return trainer
'''
_SHAPES: Final = ("linear", "cosine", "1-sqrt")
_Scheduler = tuple[str, int, dict[str, Any]]


def training_arguments(schedule: Schedule, *, total_steps: int) -> dict[str, Any] | NotExpressible:
    """The keywords of ``TrainingArguments`` that reproduce the schedule exactly; else why there are none."""
    warmup = run_warmup(schedule, total_steps=total_steps)
    found = _scheduler(schedule, warmup=warmup, total_steps=total_steps)
    if isinstance(found, NotExpressible):
        return found
    kind, warmup_steps, options = found
    arguments: dict[str, Any] = {"learning_rate": schedule.peak_lr, "lr_scheduler_type": kind}
    if options:
        arguments["lr_scheduler_kwargs"] = options
    return arguments | {"warmup_steps": warmup_steps, "max_steps": total_steps}


def _scheduler(schedule: Schedule, *, warmup: RunWarmup, total_steps: int) -> _Scheduler | NotExpressible:
    """Name of the scheduler, its warm-up in updates, and its options."""
    if warmup.kind in ("curved", "constant"):
        return NotExpressible(reason=f"It has no {schedule.warmup.shape} warm-up like this one.")
    plain = _after_warmup(schedule, n=total_steps - warmup.updates)
    if warmup.kind == "none" and plain is not None:
        return plain[0], 0, plain[1]
    decay = final_decay(schedule, total_steps=total_steps)
    if isinstance(schedule.family, Constant):
        decay = Decay(shape="linear", updates=0)
    if decay is not None and decay.shape in _SHAPES:
        found = _stable_decay(schedule, warmup=warmup, decay=decay)
        if found is not None:
            return found
        plain = plain or ("warmup_stable_decay", {})
    if plain is not None:
        return _off_by_one(schedule, warmup=warmup, nearest=plain[0])
    if isinstance(schedule.family, Polynomial):
        reason = "The floor of its polynomial is a rate, which it divides by the optimizer's default lr for all groups."
        return NotExpressible(reason=reason)
    if isinstance(schedule.family, InverseSqrt):
        return NotExpressible(reason="Its inverse_sqrt takes no time scale before version 5.")
    floor = f" with a floor of {schedule.floor:g}" if schedule.floor else ""
    return NotExpressible(reason=f"It has no schedule for {schedule.family.label}{floor}.")


def _after_warmup(schedule: Schedule, *, n: int) -> tuple[str, dict[str, Any]] | None:
    """Name and options of the scheduler that equals the schedule in the n updates after its warm-up."""
    floor = schedule.floor
    match schedule.family:
        case Constant():
            return "constant", {}
        case Linear() if not floor:
            return "linear", {}
        case Polynomial(power=power) if not floor:
            return "polynomial", {"power": power, "lr_end": 0.0}
        case Cosine():
            return ("cosine_with_min_lr", {"min_lr_rate": floor}) if floor else ("cosine", {})
        case Sgdr() if not floor and (cycles := whole_cycles(schedule.family, n=n)):
            if _restarts_equally(schedule.family, n=n, cycles=cycles):
                return "cosine_with_restarts", {"num_cycles": cycles}
    return None


def _restarts_equally(family: Sgdr, *, n: int, cycles: int) -> bool:
    """Whether its restarts come at our updates: it rounds ``cycles * progress`` before it takes the remainder."""
    t = np.arange(float(n))
    factors = 0.5 * (1 + np.cos(np.pi * ((float(cycles) * (t / n)) % 1.0)))
    return np.allclose(factors, family.factors(t, n=n, floor=0.0), rtol=1e-9, atol=1e-12)


def _stable_decay(schedule: Schedule, *, warmup: RunWarmup, decay: Decay) -> _Scheduler | None:
    warmup_steps = max(warmup.updates - 1, 0)
    lowest = schedule.floor if decay.updates else warmup.start
    if warmup_steps and not math.isclose(lowest, warmup.start, rel_tol=1e-10):
        return None  # its warm-up starts at its floor
    options = {"num_decay_steps": decay.updates, "decay_type": decay.shape, "min_lr_ratio": lowest}
    return "warmup_stable_decay", warmup_steps, options


def _off_by_one(schedule: Schedule, *, warmup: RunWarmup, nearest: str) -> NotExpressible:
    lowest = schedule.floor if nearest == "warmup_stable_decay" else 0.0
    error = max(abs(warmup.start - lowest), (1 - lowest) / warmup.updates)
    return NotExpressible(
        reason=f"Its warm-up goes from {lowest:g} at update 0 to the peak at update {warmup.updates}, this one from "
        f"{warmup.start:.4g} to the peak at update {warmup.updates - 1}. The nearest keywords, "
        f'lr_scheduler_type="{nearest}" with warmup_steps={warmup.updates}, are off by up to {error:.3g} of the peak '
        "in the warm-up, and equal after it."
    )


def _native(schedule: Schedule, *, total_steps: int) -> str | NotExpressible:
    arguments = training_arguments(schedule, total_steps=total_steps)
    if isinstance(arguments, NotExpressible):
        return arguments
    lines = "".join(f"    {name!r}: {value!r},\n" for name, value in arguments.items()).replace("'", '"')
    return f"{comment(_ARGUMENTS)}\n{constants(schedule, total_steps=total_steps)}ARGUMENTS = {{\n{lines}}}\n"


def _write(schedule: Schedule, run: TargetRun) -> Export:
    return code(
        schedule,
        run,
        target="TrainingArguments of Hugging Face transformers",
        native=_native(schedule, total_steps=run.total_steps),
        function=lambda: f"{comment(_CALLABLE)}\n{lambda_code(schedule, total_steps=run.total_steps, body=_BODY)}",
    )


EXPORTERS: Final = (
    Exporter(
        name="huggingface",
        description="Hugging Face transformers 4 and 5: keywords of TrainingArguments.",
        native="constant, linear, cosine, wsd (linear, cosine, 1-sqrt), most sgdr and polynomial without a floor, all "
        "without a warm-up; with a linear one constant, and what comes down to where the warm-up begins.",
        requires="transformers",
        write=_write,
    ),
)
