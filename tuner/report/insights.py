"""The analyses of a report beside its recommendation: frozen values, as in `tuner.report.report`.

How each figure is computed: docs/report.md.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class ReportValue(BaseModel):
    """A frozen value of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tolerance(StrEnum):
    """What a change of the metric for the worse is measured by."""

    NOISE = "noise"
    """The standard deviation of a run's value over the seeds."""
    SHARE = "share"
    """One percent of the metric's value."""


class PeakPoint(ReportValue):
    """A run that the fit of a sensitivity rests on."""

    trial: int
    seed: int
    peak_lr: float
    value: float
    """At the horizon, less the effect of its seed."""


class PeakLimit(ReportValue):
    """How far the peak may be off in one direction."""

    factor: float
    """By which the peak may be divided (below) or multiplied (above), at least 1."""
    reached: bool
    """Whether the metric has worsened by the tolerance there. If not, nothing was tried beyond: the factor is a lower
    bound."""


class PeakFit(ReportValue):
    """The metric over x = ln(peak / candidate's peak): ``constant + slope x + curvature x^2``."""

    constant: float
    slope: float
    curvature: float
    r_squared: float
    """Share of the variance of the values that the fit explains."""


class Sensitivity(ReportValue):
    """How far the peak rate of a candidate may be off before it hurts."""

    trial: int
    peak_lr: float
    reason: str | None
    """Why it cannot be determined; ``None`` when it can. The fields of the result are then absent."""
    points: tuple[PeakPoint, ...] = ()
    """By peak, then trial and seed."""
    diverged_from: float | None = None
    """The lowest peak at which a schedule of this shape diverged."""
    fit: PeakFit | None = None
    tolerance: float | None = None
    """The change of the metric for the worse that counts as a loss of quality."""
    tolerance_kind: Tolerance | None = None
    below: PeakLimit | None = None
    """``None`` when no lower peak was tried."""
    above: PeakLimit | None = None


class ParameterImportance(ReportValue):
    """How much one parameter distinguishes the best third of the trials from all of them."""

    name: str
    share: float
    """Of all parameters in its group, in [0, 1]."""
    above_chance: bool
    """Whether at most 5 of 100 random orders of the same results would make it look as important."""


class ParameterImportances(ReportValue):
    """Which parameters decided the result, by PED-ANOVA."""

    trials: int
    diverged: int
    """How many of the trials diverged; each counts as worse than all others."""
    common: tuple[ParameterImportance, ...]
    """``family`` and ``peak_lr``, over all trials, the most important first; empty when there is too little."""
    families: dict[str, tuple[ParameterImportance, ...]]
    """By family: its further parameters and the peak, over its own trials."""
    sentence: str


class StoppedRun(ReportValue):
    """A run that was stopped early, or that would have been and was trained to the end to see."""

    trial: int
    seed: int
    step: int
    """At which its forecast left it almost no chance."""
    forecast: float
    """Of its value at the end."""
    low: float
    """Of the 95 % interval of the forecast, as for ``high``."""
    high: float
    chance: float
    """To beat the leader by the margin."""
    leader: float
    """Expected value of the leader then."""
    margin: float
    """By which it would have had to beat the leader."""
    value: float | None
    """At the horizon, of a run that was trained to the end to see; ``None`` for one that was stopped, or diverged."""


class EarlyStops(ReportValue):
    """What stopping early saved, and what it cost as far as was measured."""

    stopped: tuple[StoppedRun, ...]
    audited: tuple[StoppedRun, ...]
    """Trained to the end although the forecast said stop: a random tenth, which shows what stopping loses."""
    wrong: int
    """Of ``audited``: those that beat the leader of then by the margin after all."""
    sentence: str


class Transfer(ReportValue):
    """What transfers from the recommended schedule to a longer run."""

    ratio: float
    """Its length over the horizon; as the job asked."""
    total_steps: int
    peak_low: float
    """Smallest factor for the peak, from convex theory."""
    peak_high: float
    """Largest factor for the peak."""
    sentences: tuple[str, ...]


class AdviceCode(StrEnum):
    """The subject of an advice. These names are stable."""

    LENGTHEN_WARMUP = "lengthen-warmup"
    DECAY_TO_ZERO = "decay-to-zero"
    DECAY_EARLIER = "decay-earlier"
    TRAIN_LONGER = "train-longer"
    DIVERGED_ABOVE = "diverged-above"
    FLOOR_COSTS = "floor-costs"


class Advice(ReportValue):
    """A recommended change and its evidence."""

    code: AdviceCode
    sentence: str
    evidence: dict[str, float]
    """By name; which names come with which code: docs/report.md."""
