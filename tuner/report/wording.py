"""The sentences of a report, and how its numbers are written. ASCII alone, so that any terminal can show them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from tuner.metric import Metric
from tuner.report.exploration import ENOUGH_TRIALS, MIN_PEAKS, Exploration
from tuner.report.insights import PeakLimit, Sensitivity, Tolerance
from tuner.report.report import Candidate, Comparison, Cost, EquivalentSet, Gain, Verdict
from tuner.search.sampler.options import BATCH_SIZE

_MAX_DECIMALS = 9
_NO_BREAK = "\u00a0"


def label_lines(label: str, *, width: int) -> list[str]:
    """A schedule's label on lines of at most this many characters, broken after a comma where its parts fit."""
    parts = ", ".join(part.replace(" ", _NO_BREAK) for part in label.split(", "))
    return [line.replace(_NO_BREAK, " ") for line in textwrap.wrap(parts, width=max(width, 1))]


def gain_text(gain: Gain, *, sign: str = "+") -> str:
    """The mean of a gain, with as many decimals as its interval supports."""
    return f"{gain.mean:{sign}.{_decimals(gain)}f}"


def interval_text(gain: Gain, *, sign: str = "+") -> str:
    """The 95 % interval of a gain, or the words for its absence."""
    if gain.low is None or gain.high is None:
        return "one pair, no interval"
    decimals = _decimals(gain)
    return f"{gain.low:{sign}.{decimals}f} to {gain.high:{sign}.{decimals}f}"


def percent_text(gain: Gain) -> str:
    """The gain relative to the rival's value; empty where that means nothing."""
    return "" if gain.percent is None else f"{gain.percent:.1f} %"


def range_text(candidate: Candidate, *, metric: Metric) -> str:
    """The lowest and the highest confirmed value."""
    return f"{metric.text(candidate.low)} to {metric.text(candidate.high)}"


def best_sentence(best: Candidate, *, metric: Metric) -> str:
    """The best candidate and its confirmation."""
    name = f"Best: {best.label} (trial {best.trial})"
    if not best.values:
        found = f"{metric.name} {metric.text(best.search_value)}"
        return f"{name}, {found} on the search's one seed; nothing was confirmed."
    seeds = _seeds(len(best.values))
    if best.diverged:
        return f"{name}, but it diverged on {best.diverged} of {seeds}, and no other candidate was without divergence."
    return (
        f"{name}, {metric.name} {metric.text(best.median)}, the median of {seeds} ({range_text(best, metric=metric)})."
    )


def finding(constant: Comparison | None, *, exploration: Exploration, metric: Metric) -> str:
    """Whether a schedule helps, against the best constant rate; directly after a claim, its limitations."""
    if constant is None:
        return "Whether a schedule helps cannot be said: no constant rate was trained to the end beside it."
    if constant.verdict is Verdict.TIED and (constant.gain is None or constant.gain.low is None):
        return (
            "Whether a schedule helps cannot be said: it takes at least two seeds on which both the best schedule "
            f"and the best constant rate have a result, and there is {'none' if constant.gain is None else 'one'}."
        )
    return " ".join((_claim(constant, metric=metric), *_few_peaks(exploration), *_peaks_at_the_edge(exploration)))


def _claim(constant: Comparison, *, metric: Metric) -> str:
    match constant.verdict:
        case Verdict.SAME:
            return f"A schedule does not help here: the best of all is a constant rate ({constant.label})."
        case Verdict.BETTER:
            return f"A schedule helps here: {_better_than(constant, name='the best constant rate', metric=metric)}."
        case Verdict.WORSE:
            return f"A schedule does not help here: the best constant rate ({constant.label}) is better."
        case Verdict.TIED:
            gain = "" if constant.gain is None else f", {_gain(constant.gain, metric=metric)},"
            return (
                "A schedule does not help here, as far as these seeds show: its gain over the best constant rate"
                f"{gain} is not distinguishable from zero."
            )


def _few_peaks(exploration: Exploration) -> Iterator[str]:
    constant, others = exploration.constant, exploration.others
    if constant.explored and others.explored:
        return
    few = exploration.trials < ENOUGH_TRIALS
    remedy = f"at least {ENOUGH_TRIALS} trials" if few else "more trials, or over a wider range of peak_lr"
    yield (
        f"But too few peak rates were tried ({constant.peaks} with a constant rate, {others.peaks} with other "
        f"schedules; {MIN_PEAKS} of each are needed): this says little, so search with {remedy}."
    )


def _peaks_at_the_edge(exploration: Exploration) -> Iterator[str]:
    for name, side in (("constant rate", exploration.constant), ("other schedule", exploration.others)):
        if side.edge is not None:
            yield (
                f"The peak of the best {name}, {side.best_peak:.1e}, lies at the edge of what was tried, as the "
                f"{side.edge}: a better one may lie beyond, so search a wider range of peak_lr, or with more trials."
            )


def default_sentence(default: Comparison | None, *, metric: Metric) -> str:
    """How the best candidate compares with the usual default."""
    name = "the default (linear warm-up, cosine to zero)"
    if default is None:
        return f"Nothing can be said against {name}: it was not trained to the end."
    match default.verdict:
        case Verdict.SAME:
            return f"The best is {name} itself."
        case Verdict.BETTER:
            return f"Against {name}: {_better_than(default, name='its best member', metric=metric)}."
        case Verdict.WORSE:
            return f"Against {name}: its best member ({default.label}) is better."
        case Verdict.TIED if default.gain is None:
            return f"Against {name}: there is no seed on which both have a result."
        case Verdict.TIED:
            gain = _gain(default.gain, metric=metric)
            return f"Against {name}: the gain over its best member, {gain}, is not distinguishable from zero."


def equivalent_sentence(equivalents: EquivalentSet, *, recommended: Candidate, candidates: Sequence[Candidate]) -> str:
    """How many candidates are statistically tied with the best, and which of them to use."""
    equals = len(equivalents.members) - 1
    others = len(candidates) - 1
    if not others:
        return "It is the only candidate, so there is nothing to choose from."
    if not equals:
        return f"None of the {others} other candidates is within noise of it. Recommended: the best itself."
    are = "is" if equals == 1 else "are"
    return (
        f"{equals} of the {others} other candidates {are} not distinguishable from it. "
        f"Recommended: {recommended.label} (trial {recommended.trial}), because {equivalents.reason}."
    )


def options_sentences(best: Candidate, *, rival: Candidate | None) -> Iterator[str]:
    """The reservations about options that were searched along with the schedule; none where none were searched.

    Args:
        best: The best candidate.
        rival: The best constant rate, where there is one.
    """
    if rival is not None and rival.options != best.options:
        yield (
            "The best constant rate was trained with other options than the best schedule: a part of what lies between "
            "them is theirs."
        )
    if BATCH_SIZE in best.options:
        yield (
            "All trials had equally many updates: one with a larger batch saw more data, and each of its updates may "
            "have taken longer."
        )


def cost_sentence(cost: Cost, *, trials: int) -> str:
    """The updates that the search and the confirmation took."""
    saved = (
        f" Runs with the same learning rates up to some update trained those once, which saved {cost.updates_saved:,}."
        if cost.updates_saved
        else ""
    )
    return (
        f"The search took {cost.search_updates:,} updates; training all {trials} trials in full would have taken "
        f"{cost.updates_all_full:,} ({100 * cost.ratio:.0f} %). Confirmation took {cost.confirm_updates:,} more."
        f"{saved}"
    )


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


def difference_text(difference: float, *, metric: Metric) -> str:
    """A difference of two values of a metric, with two digits: of percentages in points."""
    return f"{difference:.2g}{_unit(metric)}"


def sensitivity_basis(sensitivity: Sensitivity, *, rung_steps: Sequence[int]) -> str:
    """The data behind `sensitivity_sentence`; empty where it cannot be said."""
    if sensitivity.fit is None or sensitivity.rung is None:
        return ""
    diverged = sensitivity.diverged_from
    divergence = "" if diverged is None else f" A schedule of this shape diverged at a peak of {diverged:.1e}."
    return (
        f"A parabola over the logarithm of the peak, through {len(sensitivity.points)} trials of similar shape after "
        f"{rung_steps[sensitivity.rung]:,} updates; it explains {100 * sensitivity.fit.r_squared:.0f} % of the "
        f"variance of their results.{divergence}"
    )


def _limit(limit: PeakLimit | None, *, way: str) -> str:
    if limit is None:
        return f"{way} by an unknown factor (no {way} one was tried)"
    return f"{limit.factor:.2g} times {way}" if limit.reached else f"at least {limit.factor:.2g} times {way}"


def _better_than(rival: Comparison, *, name: str, metric: Metric) -> str:
    if rival.diverged or rival.gain is None:
        return f"{name} ({rival.label}) diverged on {_seeds(rival.diverged)}, the best schedule on none"
    return (
        f"its {metric.name} is {better(metric)} than that of {name} ({rival.label}) by "
        f"{_gain(rival.gain, metric=metric)}, "
        f"on {rival.wins} of {_seeds(rival.seeds)}"
    )


def better(metric: Metric) -> str:
    """Where better values of a metric lie: ``"lower"`` or ``"higher"``."""
    return "higher" if metric.maximized else "lower"


def _gain(gain: Gain, *, metric: Metric) -> str:
    lift = f"{percent_text(gain)}; " if gain.percent is not None else ""
    interval = interval_text(gain, sign="-")
    return f"{gain_text(gain, sign='-')}{_unit(metric)} ({lift}95 % interval {interval})"


def _unit(metric: Metric) -> str:
    """The unit of differences: a difference of percentages is in points, which a relative change is not."""
    return " points" if metric.unit == "%" else f" {metric.unit}" if metric.unit else ""


def _decimals(gain: Gain) -> int:
    """Decimals that show two digits of the interval's half-width; of the mean where there is no width."""
    width = (gain.high - gain.low) / 2 if gain.low is not None and gain.high is not None else 0.0
    scale = width or abs(gain.mean) or 1.0
    return min(max(1 - math.floor(math.log10(scale)), 0), _MAX_DECIMALS)


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
