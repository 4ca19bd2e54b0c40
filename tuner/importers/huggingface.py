"""Reads the ``TrainingArguments`` of Hugging Face's Trainer, as an object, a mapping or JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tuner.errors import InvalidValue
from tuner.importers.pieces import Piece, check_count, hold, refused, schedule_of
from tuner.schedules import InverseSqrt, ReduceOnPlateau, Schedule, Updates

_RATE: Final = 5e-5
"""Trainer's own default."""
_DECAYS: Final = {"linear": "linear", "cosine": "cosine", "1-sqrt": "1-sqrt"}
KNOWN: Final = (
    "linear, cosine, cosine_with_restarts, polynomial, constant, constant_with_warmup, inverse_sqrt, "
    "cosine_with_min_lr, warmup_stable_decay, reduce_lr_on_plateau"
)


def read_training_arguments(arguments: Mapping[str, Any], *, total_steps: int) -> Schedule:
    """The schedule of arguments in a run of ``total_steps`` updates, equal to Trainer's at every update.

    Trainer's warm-up starts at a rate of 0, so it is read as a segment.

    Args:
        arguments: ``learning_rate``, ``lr_scheduler_type``, ``lr_scheduler_kwargs``, ``warmup_steps``,
            ``warmup_ratio``; those left out have Trainer's defaults.
        total_steps: Updates of the run.

    Raises:
        InvalidValue: The scheduler is unknown, or cannot be written exactly.
    """
    base = float(arguments.get("learning_rate") or _RATE)
    kind = str(getattr(arguments.get("lr_scheduler_type"), "value", arguments.get("lr_scheduler_type") or "linear"))
    options = dict(arguments.get("lr_scheduler_kwargs") or {})
    warmup = _warmup_steps(arguments, total_steps=total_steps)
    n = total_steps - warmup
    if n < 1:
        allowed = f"less than the {total_steps} updates of the run"
        raise InvalidValue("warmup_steps", value=warmup, allowed=allowed)
    if kind in ("constant", "reduce_lr_on_plateau", "inverse_sqrt") and (kind != "inverse_sqrt" or warmup == 0):
        return _without_warmup(kind, options, base=base, total_steps=total_steps)
    low = _lowest(kind, options, base=base)
    start = low if kind == "warmup_stable_decay" else 0.0
    rise = [Piece(kind="linear", length=float(warmup), start=start, end=1.0)] if warmup else []
    return schedule_of([*rise, *_rest(kind, options, n=n, low=low)], base=base, total_steps=total_steps)


def _warmup_steps(arguments: Mapping[str, Any], *, total_steps: int) -> int:
    steps, ratio = float(arguments.get("warmup_steps") or 0), float(arguments.get("warmup_ratio") or 0)
    if steps >= 1:
        return int(steps)
    return math.ceil(total_steps * (steps or ratio))


def _without_warmup(kind: str, options: Mapping[str, Any], *, base: float, total_steps: int) -> Schedule:
    if kind == "constant":
        return schedule_of([hold(1.0, length=total_steps)], base=base, total_steps=total_steps)
    if kind == "inverse_sqrt":
        return Schedule(peak_lr=base, family=InverseSqrt(timescale=Updates(updates=options.get("timescale") or 10_000)))
    return reduce_on_plateau(options, base=base)


def reduce_on_plateau(options: Mapping[str, Any], *, base: float) -> Schedule:
    """The schedule of torch's ``ReduceLROnPlateau``, by its arguments."""
    known = ("factor", "patience", "cooldown", "threshold", "eps")
    low = options.get("min_lr", options.get("default_min_lr", 0.0)) or 0.0
    if not isinstance(low, int | float):
        raise refused("ReduceLROnPlateau with a min_lr of its own for each group")
    mode = {"rel": "relative", "abs": "absolute"}[options.get("threshold_mode", "rel")]
    family = ReduceOnPlateau.model_validate(
        {name: options[name] for name in known if name in options} | {"threshold_mode": mode}
    )
    return Schedule(peak_lr=base, family=family, floor=low / base)


def _lowest(kind: str, options: Mapping[str, Any], *, base: float) -> float:
    """Where the decay ends, as a fraction of the base rate."""
    match kind:
        case "polynomial":
            return float(options.get("lr_end", 1e-7)) / base
        case "cosine_with_min_lr":
            low = options.get("min_lr_rate")
            return float(low) if low is not None else float(options.get("min_lr") or 0.0) / base
        case "warmup_stable_decay":
            return float(options.get("min_lr_ratio") or 0.0)
        case _:
            return 0.0


def _rest(kind: str, options: Mapping[str, Any], *, n: int, low: float) -> list[Piece]:
    """The pieces after the warm-up."""
    if kind.startswith("cosine_with_min_lr") or kind in ("cosine", "warmup_stable_decay"):
        _check_half_cosine(options)
    match kind:
        case "linear" | "cosine" | "cosine_with_min_lr":
            curve = "linear" if kind == "linear" else "cosine"
            return [Piece(kind=curve, length=float(n), start=1.0, end=low)]  # type: ignore[arg-type]
        case "polynomial":
            power = float(options.get("power", 1.0))
            return [Piece(kind="polynomial", length=float(n), start=1.0, end=low, power=power)]
        case "constant_with_warmup":
            return [hold(1.0, length=n)]
        case "cosine_with_restarts":
            return _restarts(int(options.get("num_cycles", 1)), n=n)
        case "warmup_stable_decay":
            return _stable_decay(options, n=n, low=low)
        case "inverse_sqrt":
            raise refused(
                "inverse_sqrt after a warm-up from 0",
                hint="Ours warms up to the peak one update earlier: write inverse_sqrt with a warm-up in words.",
            )
        case _:
            raise InvalidValue("lr_scheduler_type", value=kind, allowed=f"one of {KNOWN}")


def _check_half_cosine(options: Mapping[str, Any]) -> None:
    if options.get("num_cycles", 0.5) != 0.5:
        raise refused(f"a cosine of {options['num_cycles']} waves")


def _restarts(cycles: int, *, n: int) -> list[Piece]:
    check_count(n, of=n / cycles if cycles > 0 else 0.0, what="restarts")
    t = np.arange(float(n))
    theirs = 0.5 * (1 + np.cos(np.pi * ((float(cycles) * (t / n)) % 1.0)))
    place = (t * cycles / n) - np.floor(t * cycles / n + 1e-9)
    if not np.allclose(theirs, 0.5 * (1 + np.cos(np.pi * place)), rtol=1e-9, atol=1e-12):
        raise refused(f"{cycles} restarts within {n} updates, which rounding moves by an update in the Trainer")
    return [Piece(kind="cosine", length=n / cycles, start=1.0, end=0.0) for _ in range(cycles)]


def _stable_decay(options: Mapping[str, Any], *, n: int, low: float) -> list[Piece]:
    if options.get("warmup_type", "linear") != "linear":
        raise refused(f"a {options['warmup_type']} warm-up of warmup_stable_decay")
    decay = int(options.get("num_decay_steps") or 0)
    stable = options.get("num_stable_steps")
    shape = _DECAYS.get(options.get("decay_type", "cosine"))
    if shape is None:
        raise refused(f"a {options['decay_type']} decay of warmup_stable_decay")
    held = hold(1.0, length=n - decay if stable is None else int(stable))
    return [held, Piece(kind=shape, length=float(decay), start=1.0, end=low), hold(low, length=n)]  # type: ignore[arg-type]
