"""The ranking of the candidates, their comparison with the best, and its equivalents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tuner.metric import Metric
from tuner.report.report import Candidate, Comparison, Gain, SeedValue, Verdict
from tuner.report.stats import Spread, paired_difference, spread
from tuner.report.study_result import StudyResult, TrialResult
from tuner.schedules import Constant
from tuner.search.decision.decisions import Control

_NOTHING = Spread(median=math.inf, mean=math.inf, low=math.inf, high=math.inf)


def rank(result: StudyResult) -> tuple[Candidate, ...]:
    """The confirmed trials, the best first; without any confirmation, those that reached the horizon.

    The order is by the median of the confirmed values, then their mean, then the search's value, then the trial number.
    A candidate that diverged on any seed comes after all that did not; among those alike in that, one with results on
    fewer than half as many seeds as the most confirmed candidate comes after the others: its median may be luck.

    Args:
        result: The study.

    Returns:
        The candidates; empty when no trial reached the horizon.
    """
    confirmed = [_candidate(trial, result=result) for trial in result.trials if result.confirmations.get(trial.number)]
    top = len(result.rung_steps)
    complete = [trial for trial in result.trials if len(trial.losses) == top and trial.losses[-1] is not None]
    candidates = confirmed or [_candidate(trial, result=result) for trial in complete]
    most = max((len(candidate.values) for candidate in candidates), default=0)

    def order(candidate: Candidate) -> tuple[bool, bool, float, float, float, int]:
        return (
            candidate.diverged > 0,
            2 * len(candidate.values) < most,
            _loss(candidate.median, metric=result.metric),
            _loss(candidate.mean, metric=result.metric),
            _loss(candidate.search_value, metric=result.metric),
            candidate.trial,
        )

    return tuple(sorted(candidates, key=order))


def compare(best: Candidate, *, rival: Candidate, metric: Metric) -> Comparison:
    """Compare a rival with the best candidate, paired over their common seeds.

    Args:
        best: The best candidate.
        rival: Any candidate, the best itself included.
        metric: What their values are of.

    Returns:
        The comparison. Where one of the two diverged on any seed and the other did not, that decides the verdict; where
        both did, the verdict is `Verdict.TIED`.
    """
    ours, theirs = _by_seed(best), _by_seed(rival)
    common = sorted(ours.keys() & theirs.keys())
    gain = _gain(ours, theirs, seeds=common, metric=metric)
    return Comparison(
        trial=rival.trial,
        label=rival.label,
        verdict=_verdict(best, rival=rival, gain=gain),
        seeds=len(common),
        wins=sum(_loss(ours[seed], metric=metric) < _loss(theirs[seed], metric=metric) for seed in common),
        diverged=rival.diverged,
        gain=gain,
    )


def best_in_group(candidates: Sequence[Candidate], *, group: Control) -> Candidate | None:
    """The best candidate of a group of controls.

    Args:
        candidates: Ranked.
        group: The group. `Control.CONSTANT` takes in every constant rate, the sampler's own too.

    Returns:
        The first of the group; ``None`` when it has none.
    """
    for candidate in candidates:
        constant = group is Control.CONSTANT and isinstance(candidate.schedule.family, Constant)
        if candidate.control is group or constant:
            return candidate
    return None


def _candidate(trial: TrialResult, *, result: StudyResult) -> Candidate:
    metric = result.metric
    losses = sorted(result.confirmations.get(trial.number, {}).items())
    over_seeds = spread([math.inf if loss is None else loss for _, loss in losses]) if losses else _NOTHING
    low, high = (metric.value(loss) for loss in (over_seeds.low, over_seeds.high))
    return Candidate(
        trial=trial.number,
        label=trial.configuration.label,
        control=trial.control,
        schedule=trial.schedule,
        options=dict(trial.configuration.options),
        search_value=metric.value_or_none(trial.losses[-1]) if len(trial.losses) == len(result.rung_steps) else None,
        values=tuple(SeedValue(seed=seed, value=metric.value_or_none(loss)) for seed, loss in losses),
        median=_finite(metric.value(over_seeds.median)),
        mean=_finite(metric.value(over_seeds.mean)),
        low=_finite(min(low, high)),
        high=_finite(max(low, high)),
        diverged=sum(loss is None for _, loss in losses),
    )


def _gain(
    ours: Mapping[int, float | None], theirs: Mapping[int, float | None], *, seeds: Sequence[int], metric: Metric
) -> Gain | None:
    pairs = [(a, b) for seed in seeds if (a := ours[seed]) is not None and (b := theirs[seed]) is not None]
    if not pairs:
        return None
    difference = paired_difference([metric.loss(rival) for _, rival in pairs], [metric.loss(best) for best, _ in pairs])
    rival_mean = math.fsum(rival for _, rival in pairs) / len(pairs)
    return Gain(
        mean=difference.mean,
        low=difference.low,
        high=difference.high,
        percent=100.0 * difference.mean / rival_mean if rival_mean > 0.0 else None,
    )


def _verdict(best: Candidate, *, rival: Candidate, gain: Gain | None) -> Verdict:
    if rival.trial == best.trial:
        return Verdict.SAME
    if bool(best.diverged) != bool(rival.diverged):
        return Verdict.BETTER if rival.diverged else Verdict.WORSE
    if best.diverged or gain is None or gain.low is None or gain.high is None or gain.low <= 0.0 <= gain.high:
        return Verdict.TIED
    return Verdict.BETTER if gain.mean > 0.0 else Verdict.WORSE


def _by_seed(candidate: Candidate) -> dict[int, float | None]:
    return {result.seed: result.value for result in candidate.values}


def _loss(value: float | None, *, metric: Metric) -> float:
    """What values are compared by: lower is better, and a diverged run is worse than all."""
    return math.inf if value is None else metric.loss(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
