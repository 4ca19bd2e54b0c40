"""The well-known schedules that every study starts with: to measure the answer against, and to give a good start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.decisions import MEASURED_AGAINST, Control
from tuner.search.space import SearchSpace

_MOST: Final = 12
_WARMUP: Final = 0.05
_COOLDOWNS: Final = (0.4, 0.6, 0.2)
# Where the peaks lie in the (log) range, the likeliest first: a rate that never decays wants a lower peak than others.
_CONSTANT_PEAKS: Final = (0.5, 0.25, 0.75)
_DECAY_PEAKS: Final = (0.5, 0.75, 0.25)
_REASONS: Final = {
    Control.DEFAULT: "control: linear warm-up and cosine to zero, which most people use",
    Control.CONSTANT: "control: a constant rate, to see whether a schedule is worth it",
    Control.LINEAR: "control: linear decay to zero, the strongest simple rival",
    Control.WSD: "control: warm-up, hold and cooldown, a strong first guess",
}


@dataclass(frozen=True, kw_only=True)
class ControlSchedule:
    """A control, with the group that it belongs to."""

    control: Control
    schedule: Schedule
    """At the full horizon."""
    reason: str


def control_count(trials: int) -> int:
    """How many trials of a study may be controls: half of them, at most 12; the two measured groups always fit."""
    return min(trials, _MOST, max(len(MEASURED_AGAINST), trials // 2))


def controls(space: SearchSpace, *, trials: int) -> tuple[ControlSchedule, ...]:
    """The controls of a study, in the order in which they are tried.

    The groups take turns, so that however few there are, they differ: the default, a constant, a linear decay and a
    warm-up-stable-decay at the middle of the log range of the peak, then all of them elsewhere in it.

    Args:
        space: Where the study searches. The groups that the answer is measured against are tried wherever it searches;
            the others only if the space contains them.
        trials: Schedules that the study will try in all.

    Returns:
        At most `control_count` of them, all different: the default first, a constant second.
    """
    found: dict[Schedule, ControlSchedule] = {}
    for turn in range(len(_COOLDOWNS)):
        for control, reason in _REASONS.items():
            schedule = _schedule(control, space=space, turn=turn)
            if control in MEASURED_AGAINST or space.values_of(schedule) is not None:
                found.setdefault(schedule, ControlSchedule(control=control, schedule=schedule, reason=reason))
    return tuple(found.values())[: control_count(trials)]


def _schedule(control: Control, *, space: SearchSpace, turn: int) -> Schedule:
    family: Constant | Cosine | Linear | Wsd
    match control:
        case Control.CONSTANT:
            family = Constant()
        case Control.DEFAULT:
            family = Cosine()
        case Control.LINEAR:
            family = Linear()
        case Control.WSD:
            family = Wsd(cooldown=_COOLDOWNS[turn], shape="1-sqrt")
    peaks = _CONSTANT_PEAKS if control is Control.CONSTANT else _DECAY_PEAKS
    return Schedule(
        peak_lr=_peak(space, at=peaks[turn]),
        family=family,
        warmup=Warmup(shape="linear", fraction=_WARMUP),
    )


def _peak(space: SearchSpace, *, at: float) -> float:
    """The peak at a position in the log range, to three digits so that people can read it."""
    low, high = space.peak_lr.low, space.peak_lr.high
    return min(max(float(f"{low * (high / low) ** at:.2e}"), low), high)
