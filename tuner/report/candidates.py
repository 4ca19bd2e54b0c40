"""Which schedule is best, how the others compare with it, and which of its equals to reuse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tuner.report.report import Candidate, Comparison, EquivalentSet, Gain, SeedLoss, Verdict
from tuner.report.stats import Spread, paired_difference, spread
from tuner.report.study_result import StudyResult, TrialResult
from tuner.schedules import Constant, Linear, Schedule, Wsd
from tuner.search.decision.decisions import Control

REUSE_RULE = (
    "Of the configurations that cannot be told from the best, the one that is cheapest to reuse: a constant rate, "
    "else a wsd schedule, else a linear decay to zero, else the best itself."
)
_REUSE_REASONS = (
    "a constant rate needs no horizon: training can stop or go on at any update",
    "before its cooldown it is a constant rate: the same trunk can be trained on, and cooled down at any later update",
    "linear decay to zero has nothing to set but its peak and warm-up, and every framework has it",
    "it has the lowest confirmed loss, and no simpler schedule is as good",
)
_MIN_SEEDS = 2  # below, there is no interval
_NOTHING = Spread(median=math.inf, mean=math.inf, low=math.inf, high=math.inf)


def rank(result: StudyResult) -> tuple[Candidate, ...]:
    """The confirmed trials, the best first; without any confirmation, those that reached the horizon.

    The order is by median confirmed loss, then the mean, then the search loss, then the trial number. A candidate that
    diverged on any seed comes after all that did not; among those alike in that, one with results on fewer than half as
    many seeds as the most confirmed candidate comes after the others: its median may be luck.

    Args:
        result: The study.

    Returns:
        The candidates; empty when no trial reached the horizon.
    """
    confirmed = [_candidate(trial, result=result) for trial in result.trials if result.confirmations.get(trial.number)]
    top = len(result.rung_steps)
    complete = [trial for trial in result.trials if len(trial.losses) == top and trial.losses[-1] is not None]
    candidates = confirmed or [_candidate(trial, result=result) for trial in complete]
    most = max((len(candidate.losses) for candidate in candidates), default=0)

    def order(candidate: Candidate) -> tuple[bool, bool, float, float, float, int]:
        return (
            candidate.diverged > 0,
            2 * len(candidate.losses) < most,
            _or_inf(candidate.median),
            _or_inf(candidate.mean),
            _or_inf(candidate.search_loss),
            candidate.trial,
        )

    return tuple(sorted(candidates, key=order))


def compare(best: Candidate, *, rival: Candidate) -> Comparison:
    """Hold a rival against the best candidate, paired over their common seeds.

    Args:
        best: The best candidate.
        rival: Any candidate, the best itself included.

    Returns:
        The comparison. Where one of the two diverged on any seed and the other did not, that decides the verdict; where
        both did, the verdict is `Verdict.UNTOLD`.
    """
    ours, theirs = _by_seed(best), _by_seed(rival)
    common = sorted(ours.keys() & theirs.keys())
    gain = _gain(ours, theirs, seeds=common)
    return Comparison(
        trial=rival.trial,
        label=rival.label,
        verdict=_verdict(best, rival=rival, gain=gain),
        seeds=len(common),
        wins=sum(_or_inf(ours[seed]) < _or_inf(theirs[seed]) for seed in common),
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


def find_equivalent(candidates: Sequence[Candidate]) -> EquivalentSet:
    """The configurations that cannot be told from the best, and the one of them that is cheapest to reuse.

    Args:
        candidates: Ranked; at least one.
    """
    best = candidates[0]
    comparisons = [compare(best, rival=candidate) for candidate in candidates]
    members = [
        (candidate, comparison)
        for candidate, comparison in zip(candidates, comparisons, strict=True)
        if candidate is best or _equals_best(candidate, comparison=comparison)
    ]
    recommended = min((candidate for candidate, _ in members), key=lambda candidate: _reuse(candidate.schedule))
    return EquivalentSet(
        members=tuple(comparison for _, comparison in members),
        recommended=recommended.trial,
        rule=REUSE_RULE,
        reason=_REUSE_REASONS[_reuse(recommended.schedule)],
    )


def _candidate(trial: TrialResult, *, result: StudyResult) -> Candidate:
    losses = sorted(result.confirmations.get(trial.number, {}).items())
    over_seeds = spread([_or_inf(loss) for _, loss in losses]) if losses else _NOTHING
    return Candidate(
        trial=trial.number,
        label=trial.configuration.label,
        control=trial.control,
        schedule=trial.schedule,
        options=dict(trial.configuration.options),
        search_loss=trial.losses[-1] if len(trial.losses) == len(result.rung_steps) else None,
        losses=tuple(SeedLoss(seed=seed, loss=loss) for seed, loss in losses),
        median=_or_none(over_seeds.median),
        mean=_or_none(over_seeds.mean),
        low=_or_none(over_seeds.low),
        high=_or_none(over_seeds.high),
        diverged=sum(loss is None for _, loss in losses),
    )


def _gain(ours: Mapping[int, float | None], theirs: Mapping[int, float | None], *, seeds: Sequence[int]) -> Gain | None:
    pairs = [(a, b) for seed in seeds if (a := ours[seed]) is not None and (b := theirs[seed]) is not None]
    if not pairs:
        return None
    rival_losses = [rival for _, rival in pairs]
    difference = paired_difference(rival_losses, [best for best, _ in pairs])
    rival_mean = math.fsum(rival_losses) / len(rival_losses)
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
        return Verdict.UNTOLD
    return Verdict.BETTER if gain.mean > 0.0 else Verdict.WORSE


def _equals_best(candidate: Candidate, *, comparison: Comparison) -> bool:
    return comparison.verdict is Verdict.UNTOLD and comparison.seeds >= _MIN_SEEDS and not candidate.diverged


def _reuse(schedule: Schedule) -> int:
    """Index into the reasons for reusing a schedule; lower is cheaper."""
    family = schedule.family
    if isinstance(family, Constant):
        return 0
    if isinstance(family, Wsd):
        return 1
    if isinstance(family, Linear) and schedule.floor == 0.0:
        return 2
    return 3


def _by_seed(candidate: Candidate) -> dict[int, float | None]:
    return {result.seed: result.loss for result in candidate.losses}


def _or_inf(loss: float | None) -> float:
    return math.inf if loss is None else loss


def _or_none(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None
