"""The same schedule for another batch size: the two rules that are in use, and what neither can promise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from tuner.errors import InvalidValue
from tuner.schedules.schedule import Schedule

MAX_BATCH: Final = 10**12
"""More samples than any batch has."""
_FAR: Final = 8.0
"""Ratio of batch sizes from which on a rule is an extrapolation that few have measured."""

ScaledFor = Literal["sgd", "adam"]
"""Kinds of optimizers whose theory differs; as in a workload's description."""


class ScalingRule(StrEnum):
    """How the peak learning rate follows the batch size, k being the new one over the old one."""

    SQRT = "sqrt"
    """The peak times the square root of k: keeps the noise of Adam's updates the same (arXiv 2205.10287, 1404.5997)."""
    LINEAR = "linear"
    """The peak times k: k small steps of SGD become one large one (Goyal et al., arXiv 1706.02677)."""


@dataclass(frozen=True, kw_only=True)
class ScaledSchedule:
    """A schedule for another batch size."""

    schedule: Schedule
    factor: float
    """New peak over old peak."""
    caveats: tuple[str, ...]
    """What to check or to change beside it, in words; empty only when the batch size stays."""


def scaled_to_batch(
    schedule: Schedule, *, rule: ScalingRule, from_batch: int, to_batch: int, optimizer: ScaledFor | None = None
) -> ScaledSchedule:
    """Carry a schedule over to another batch size.

    The peak alone changes, and with it everything that is given as a fraction of it. Lengths stay: they are measured
    in updates, and how many of those the new run has is not known here (`Schedule.compressed` changes it).

    Args:
        schedule: That suits ``from_batch``.
        rule: How the peak follows.
        from_batch: Samples of one update so far, over all devices and accumulated micro-batches; 1 to `MAX_BATCH`.
        to_batch: The same of the new run.
        optimizer: What trains; with it, the caveats say whether the rule suits it.

    Raises:
        InvalidValue: A batch size is out of range, or the new peak would be no positive finite number.
    """
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
    found = [
        _on_the_rule(rule, optimizer=optimizer),
        f"The same data makes {1 / ratio:.4g} times as many updates. The schedule's lengths are unchanged: use it with "
        "the new run's total_steps, and compress it to them first if it holds lengths in updates.",
    ]
    if optimizer != "sgd":
        found.append(
            f"With Adam and its kin the rule goes with 1 - beta times {ratio:.4g} for both betas and epsilon over "
            f"{math.sqrt(ratio):.4g} (arXiv 2205.10287); leave them only if the change is small."
        )
    if ratio > 1:
        found.append(
            "Above the critical batch size, which grows while the loss falls, a larger batch saves no updates and the "
            "rule asks for too much (arXiv 1812.06162)."
        )
        if schedule.warmup.shape == "none" and schedule.family.starts_at_peak:
            found.append("It begins at its peak, which is higher now: give it a warm-up (arXiv 1706.02677).")
    if max(ratio, 1 / ratio) >= _FAR:
        found.append(f"The batch sizes are {max(ratio, 1 / ratio):.4g} times apart: this is far from what was tuned.")
    found.append("Weight decay that is multiplied by the learning rate, as AdamW's is in PyTorch, changes with it.")
    found.append(
        "No rule replaces a measurement: tune again around the new peak, or try at least half and twice of it."
    )
    return tuple(found)


def _on_the_rule(rule: ScalingRule, *, optimizer: ScaledFor | None) -> str:
    match (rule, optimizer):
        case (ScalingRule.LINEAR, "adam"):
            return "The linear rule is SGD's. With Adam it overshoots for larger batches: use the square root rule."
        case (ScalingRule.SQRT, "sgd"):
            return "With SGD the linear rule is the usual one; the square root is the more careful choice."
        case (ScalingRule.LINEAR, None):
            return "The linear rule is derived for SGD. If Adam or one of its kin trains, use the square root rule."
        case (ScalingRule.SQRT, None):
            return "The square root rule is derived for Adam and its kin. With SGD the linear rule is the usual one."
        case _:
            return "The rule suits the optimizer; it is derived for small steps, so early training may differ."
