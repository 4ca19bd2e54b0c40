"""Scaling of a schedule to another batch size: the two common rules, and their caveats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, get_args

from tuner.errors import InvalidValue
from tuner.schedules.schedule import Schedule
from tuner.validation import choice, phrase

MAX_BATCH: Final = 10**12
"""Largest batch size."""
_EXTRAPOLATION_RATIO: Final = 8.0
"""Ratio of batch sizes from which on a rule extrapolates beyond what the papers measured."""

ScaledFor = Literal["sgd", "adam"]
"""Kinds of optimizers whose theory differs; as `OptimizerKind`."""


class ScalingRule(StrEnum):
    """How the peak learning rate scales with the batch size; k is the new batch size over the old one."""

    SQRT = "sqrt"
    """The peak times the square root of k: the noise of Adam's updates stays the same (arXiv 2205.10287, 1404.5997)."""
    LINEAR = "linear"
    """The peak times k: k small steps of SGD become one large one (Goyal et al., arXiv 1706.02677)."""


@dataclass(frozen=True, kw_only=True)
class ScaledSchedule:
    """A schedule for another batch size."""

    schedule: Schedule
    factor: float
    """New peak over old peak."""
    caveats: tuple[str, ...]
    """What to check or to change besides, in sentences; empty only when the batch size stays."""


def scaled_to_batch(
    schedule: Schedule, *, rule: ScalingRule | str, from_batch: int, to_batch: int, optimizer: ScaledFor | None = None
) -> ScaledSchedule:
    """Scale a schedule to another batch size.

    Only the peak changes, and with it every rate, since all are fractions of the peak. Lengths stay: they are measured
    in updates, and the number of updates of the new run is not known here (`Schedule.compressed` changes lengths).

    Args:
        schedule: A schedule that suits ``from_batch``.
        rule: How the peak scales: a `ScalingRule`, or its name.
        from_batch: Samples per update so far, over all devices and accumulated micro-batches; in [1, 1e12].
        to_batch: Samples per update of the new run, in the same range.
        optimizer: Kind of the optimizer; with it, the caveats say whether the rule suits it.

    Returns:
        The schedule with its new peak, the factor, and caveats.

    Raises:
        InvalidValue: A batch size is out of range, a name is not one of those, or the new peak is not a positive finite
            number.

    Example:
        >>> from tuner.schedules import Cosine, ScalingRule, Schedule, scaled_to_batch
        >>> schedule = Schedule(peak_lr=0.001, family=Cosine())
        >>> scaled = scaled_to_batch(schedule, rule=ScalingRule.SQRT, from_batch=256, to_batch=1024, optimizer="adam")
        >>> scaled.factor, scaled.schedule.peak_lr
        (2.0, 0.002)
    """
    rule = choice("rule", rule, of=ScalingRule)
    if optimizer not in (None, *get_args(ScaledFor)):
        raise InvalidValue("optimizer", value=optimizer, allowed=phrase("enum", get_args(ScaledFor)))
    for field, batch in (("from_batch", from_batch), ("to_batch", to_batch)):
        _check_batch(field, batch)
    ratio = to_batch / from_batch
    factor = math.sqrt(ratio) if rule is ScalingRule.SQRT else ratio
    peak = schedule.peak_lr * factor
    if not (math.isfinite(peak) and peak > 0):
        raise InvalidValue(
            "to_batch",
            value=to_batch,
            allowed=f"one that leaves the peak a positive finite number; {schedule.peak_lr:g} times {factor:g} is none",
        )
    return ScaledSchedule(
        schedule=schedule.model_copy(update={"peak_lr": peak}),
        factor=factor,
        caveats=_caveats(schedule, rule=rule, ratio=ratio, optimizer=optimizer),
    )


def _check_batch(field: str, batch: object) -> None:
    if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= MAX_BATCH:
        raise InvalidValue(field, value=batch, allowed=f"a whole number in [1, {MAX_BATCH}]")


def _caveats(schedule: Schedule, *, rule: ScalingRule, ratio: float, optimizer: ScaledFor | None) -> tuple[str, ...]:
    if ratio == 1:
        return ()
    caveats = [
        _rule_caveat(rule, optimizer=optimizer),
        f"The same data makes {1 / ratio:.4g} times as many updates. The schedule's lengths are unchanged: use it with "
        "the new run's total_steps, and compress it to them first if it holds lengths in updates.",
    ]
    if optimizer != "sgd":
        caveats.append(
            f"With Adam and its variants the rule goes with 1 - beta times {ratio:.4g} for both betas and epsilon over "
            f"{math.sqrt(ratio):.4g} (arXiv 2205.10287); leave them only if the change is small."
        )
    if ratio > 1:
        caveats.append(
            "Above the critical batch size, which grows while the loss falls, a larger batch saves no updates and the "
            "rule asks for too much (arXiv 1812.06162)."
        )
        if schedule.warmup.shape == "none" and schedule.family.starts_at_peak:
            caveats.append("It starts at its peak, which is higher now: add a warm-up (arXiv 1706.02677).")
    if max(ratio, 1 / ratio) >= _EXTRAPOLATION_RATIO:
        caveats.append(f"The batch sizes are {max(ratio, 1 / ratio):.4g} times apart: this is far from what was tuned.")
    caveats.append("Weight decay that is multiplied by the learning rate, as AdamW's is in PyTorch, changes with it.")
    caveats.append(
        "No rule replaces a measurement: tune again around the new peak, or try at least half and twice of it."
    )
    return tuple(caveats)


def _rule_caveat(rule: ScalingRule, *, optimizer: ScaledFor | None) -> str:
    match (rule, optimizer):
        case (ScalingRule.LINEAR, "adam"):
            return "The linear rule is SGD's. With Adam it overshoots for larger batches: use the square root rule."
        case (ScalingRule.SQRT, "sgd"):
            return "With SGD the linear rule is the usual one; the square root is the more careful choice."
        case (ScalingRule.LINEAR, None):
            return (
                "The linear rule is derived for SGD. If Adam or one of its variants trains, use the square root rule."
            )
        case (ScalingRule.SQRT, None):
            return (
                "The square root rule is derived for Adam and its variants. With SGD the linear rule is the usual one."
            )
        case _:
            return "The rule suits the optimizer; it is derived for small steps, so early training may differ."
