"""How the numbers of a report are written, and its plain sentences. ASCII alone, so that any terminal can show them."""

from __future__ import annotations

import math
import textwrap
from typing import Final

from tuner.metric import Metric
from tuner.report.insights import PeakLimit, Sensitivity, StoppedRun, Tolerance
from tuner.report.report import Candidate, Cost, Gain, Margin, Reusable, StepsGain

MOST_RUNS: Final = 100
"""Full runs beyond which no cost is predicted: *more than that*."""
_MOST_DECIMALS: Final = 6
_MOST_DIGITS: Final = 9
_LARGEST: Final = 1e6
"""Numbers that need more decimals, or are larger, are written with a power of ten."""
_NO_BREAK: Final = "\u00a0"
_MINUTE, _HOUR = 60.0, 3600.0


def label_lines(label: str, *, width: int) -> list[str]:
    """A schedule's label on lines of at most this many characters, broken after a comma where its parts fit."""
    parts = ", ".join(part.replace(" ", _NO_BREAK) for part in label.split(", "))
    return [line.replace(_NO_BREAK, " ") for line in textwrap.wrap(parts, width=max(width, 1))]


def better(metric: Metric) -> str:
    """Where better values of a metric lie: ``"lower"`` or ``"higher"``."""
    return "higher" if metric.maximized else "lower"


def worse(metric: Metric) -> str:
    """Where worse values of a metric lie."""
    return "lower" if metric.maximized else "higher"


def gain_text(gain: Gain, *, sign: str = "+") -> str:
    """The mean of a gain, with as many decimals as its interval supports."""
    return _number(gain.mean, gain=gain, sign=sign)


def interval_text(gain: Gain, *, sign: str = "+") -> str:
    """The 95 % interval of a gain."""
    return f"{_number(gain.low, gain=gain, sign=sign)} to {_number(gain.high, gain=gain, sign=sign)}"


def percent_text(gain: Gain, *, metric: Metric) -> str:
    """The gain relative to the rival's value; empty where that means nothing, or would be taken for points."""
    return "" if gain.percent is None or metric.unit == "%" else _percent(gain.percent)


def gain_with_interval(gain: Gain, *, metric: Metric) -> str:
    """The size of a gain with its unit, then its interval; words around it say which way it goes."""
    size = gain.model_copy(update={"mean": abs(gain.mean)})
    lift = "" if gain.percent is None or metric.unit == "%" else f"{_percent(abs(gain.percent))}; "
    return (
        f"{gain_text(size, sign='-')}{difference_unit(metric)} ({lift}95 % interval of the gain {interval_text(gain)})"
    )


def steps_text(steps: StepsGain) -> str:
    """A gain in steps, with its interval: ``"about 1.3 times the steps (1.2 to 1.5)"``."""
    if steps.or_more:
        return f"{factor_text(steps.factor)} times the steps and more (at least {factor_text(steps.low)})"
    high = " and more" if steps.high is None else f" to {factor_text(steps.high)}"
    return f"about {factor_text(steps.factor)} times the steps ({factor_text(steps.low)}{high})"


def factor_text(factor: float) -> str:
    """A factor of steps, with two decimals where it is near 1."""
    return f"{factor:.2f}" if abs(factor - 1.0) < 0.1 else f"{factor:.2g}"


def runs_text(runs: float) -> str:
    """A number of full runs."""
    return f"{runs:.3g} full run" if runs == 1 else f"{runs:.3g} full runs"


def settling_text(runs: float | None) -> str:
    """The full runs that would probably settle a comparison; ``None``: more than can be predicted."""
    return f"more than {MOST_RUNS} further full runs" if runs is None else f"about {runs:.3g} further full runs"


def range_text(candidate: Candidate, *, metric: Metric) -> str:
    """The interval of a candidate's expected value."""
    return "" if candidate.low is None else f"{metric.text(candidate.low)} to {metric.text(candidate.high)}"


def raw_text(candidate: Candidate, *, metric: Metric) -> str:
    """The raw results of a candidate, without the model: their mean and how many they are."""
    if candidate.diverged:
        return f"diverged on {candidate.diverged} of {seeds_text(candidate.seeds)}"
    of = "on 1 seed" if candidate.seeds == 1 else f"in the mean of {candidate.seeds} seeds"
    stopped = f" ({candidate.stopped} more stopped early)" if candidate.stopped else ""
    return f"{metric.text(candidate.mean)} {of}{stopped}"


def measured_text(candidate: Candidate, *, metric: Metric) -> str:
    """`raw_text` as a predicate."""
    raw = raw_text(candidate, metric=metric)
    return raw if candidate.diverged else f"measured {raw}"


def trials_text(count: int) -> str:
    """A count of trials in words."""
    return "1 trial" if count == 1 else f"{count} trials"


def seeds_text(count: int) -> str:
    """A number of seeds."""
    return "1 seed" if count == 1 else f"{count} seeds"


def difference_text(difference: float, *, metric: Metric) -> str:
    """A difference of two values of a metric, with two digits: of percentages in points."""
    return f"{difference:.2g}{difference_unit(metric)}"


def recommended_sentence(candidate: Candidate, *, metric: Metric) -> str:
    """The recommended schedule, its expected value, and beside it the raw one."""
    name = f"Recommended: {candidate.label} (trial {candidate.trial})"
    measured = measured_text(candidate, metric=metric)
    if candidate.expected is None:
        return f"{name}, although it {measured}: no other schedule was without divergence."
    # The best of many noisy results is partly luck; where its mean is no better than expected, nothing is to be said.
    lucky = candidate.mean is not None and metric.loss(candidate.mean) < metric.loss(candidate.expected)
    bias = ", which looks better than it is: the best of many is partly luck" if lucky else ""
    return (
        f"{name}, expected {metric.name} {metric.text(candidate.expected)} (95 % interval "
        f"{range_text(candidate, metric=metric)}); {measured}{bias}."
    )


def reusable_sentence(reusable: Reusable, *, candidate: Candidate) -> str:
    """A schedule that is offered beside the recommended one."""
    return f"Beside it, cheaper to reuse: {candidate.label} (trial {reusable.trial}). {reusable.reason}"


def stop_text(run: StoppedRun, *, metric: Metric) -> str:
    """Why a run was stopped, or would have been."""
    return (
        f"trial {run.trial} at update {run.step:,}: forecast {metric.text(run.forecast)} (95 % interval "
        f"{metric.text(run.low)} to {metric.text(run.high)}), chance {100 * run.chance:.2g} % to beat "
        f"{metric.text(run.leader)} by {difference_text(run.margin, metric=metric)}"
    )


def cost_sentence(cost: Cost) -> str:
    """What the study took, and what it did not have to."""
    spent = f"{cost.full_runs:.3g} of {runs_text(cost.budget)}: {cost.updates_spent:,} updates"
    device = "" if cost.device_seconds is None else f", {duration_text(cost.device_seconds)} of device time"
    saved = [
        f"{updates:,} {why}"
        for updates, why in (
            (cost.updates_stopped, "by stopping runs early"),
            (cost.updates_saved, "by training once what runs have in common"),
        )
        if updates
    ]
    sentences = [f"{spent}{device}.", *([f"Saved: {', and '.join(saved)}."] if saved else [])]
    if cost.diverged:
        sentences.append(
            f"{cost.diverged} of {cost.runs} runs diverged, after {cost.updates_diverged:,} updates in all: a result "
            "of the search, which keeps away from there."
        )
    return " ".join(sentences)


def duration_text(seconds: float) -> str:
    """A time in its largest fitting units."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"


def sensitivity_sentence(sensitivity: Sensitivity, *, metric: Metric) -> str:
    """How far the peak may be off."""
    peak = f"{sensitivity.peak_lr:.1e} (trial {sensitivity.trial})"
    if sensitivity.reason is not None or sensitivity.tolerance is None:
        return f"How far the peak of {peak} may be off cannot be said: {sensitivity.reason}."
    measure = "the noise over seeds" if sensitivity.tolerance_kind is Tolerance.NOISE else "1 % of it"
    limits = f"{_limit(sensitivity.below, way='lower')} or {_limit(sensitivity.above, way='higher')}"
    worsens = f"{metric.name} {'falls' if metric.maximized else 'rises'}"
    by = difference_text(sensitivity.tolerance, metric=metric)
    return f"The peak of {peak} may be {limits} before the {worsens} by {by} ({measure})."


def sensitivity_basis(sensitivity: Sensitivity) -> str:
    """The data behind `sensitivity_sentence`; empty where it cannot be said."""
    if sensitivity.fit is None:
        return ""
    diverged = sensitivity.diverged_from
    divergence = "" if diverged is None else f" A schedule of this shape diverged at a peak of {diverged:.1e}."
    return (
        f"A parabola over the logarithm of the peak, through {len(sensitivity.points)} runs of similar shape; it "
        f"explains {100 * sensitivity.fit.r_squared:.0f} % of the variance of their results.{divergence}"
    )


def margin_text(margin: Margin, *, metric: Metric) -> str:
    """The margin with its meaning in parentheses."""
    if margin.least_gain is not None:
        meaning = "as the job asks"
    elif margin.worth is not None:
        meaning = f"what {100 * margin.worth:.3g} % more steps gain"
    else:
        meaning = "a tenth of the spread over seeds"
    return f"{difference_text(margin.value, metric=metric)} ({meaning})"


def margin_sentence(margin: Margin, *, metric: Metric) -> str:
    """From which gain on a change of schedule is worth it, and why."""
    size = difference_text(margin.value, metric=metric)
    if margin.least_gain is not None:
        return f"A change is worth it from a gain of {size} on, as the job asks."
    if margin.worth is not None:
        return f"A change is worth it from a gain of {size} on: what {100 * margin.worth:.3g} % more steps would gain."
    if margin.value == 0.0:
        return "A change is worth it from any gain on: what a seed changes is not known, nor what steps gain."
    noise = (
        f"{difference_text(margin.noise, metric=metric)}{'' if margin.noise_is_measured else ' as the model assumes'}"
    )
    return (
        f"A change is worth it from a gain of {size} on, a tenth of the spread over seeds ({noise}): these runs do not "
        "show what more steps would gain the incumbent."
    )


def _limit(limit: PeakLimit | None, *, way: str) -> str:
    if limit is None:
        return f"{way} by an unknown factor (no {way} one was tried)"
    return f"{limit.factor:.2g} times {way}" if limit.reached else f"at least {limit.factor:.2g} times {way}"


def difference_unit(metric: Metric) -> str:
    """The unit of differences: a difference of percentages is in points, which a relative change is not."""
    return " points" if metric.unit == "%" else f" {metric.unit}" if metric.unit else ""


def _number(value: float, *, gain: Gain, sign: str) -> str:
    """A number of a gain with the digits that show two of the interval's half-width; of the mean where it has none."""
    scale = gain.high / 2 - gain.low / 2 or abs(gain.mean) or 1.0
    place = math.floor(math.log10(scale)) - 1
    if place >= -_MOST_DECIMALS and max(map(abs, (gain.low, gain.mean, gain.high))) < _LARGEST:
        return f"{value:{sign}.{max(-place, 0)}f}"
    digits = math.floor(math.log10(abs(value))) - place if value else 0
    return f"{value:{sign}.{min(max(digits, 0), _MOST_DIGITS)}e}"


def _percent(percent: float) -> str:
    """A change in per cent: with one decimal, or two digits where that shows none."""
    return f"{percent:.1f} %" if 0.1 <= abs(percent) < _LARGEST or not percent else f"{percent:.2g} %"
