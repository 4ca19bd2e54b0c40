"""Runs after the search: audits of pruned trials, to measure what pruning lost, and confirmations on fresh seeds."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from scipy.special import stdtrit

from tuner.search.decision.decisions import MEASURED_AGAINST, Audit, Confirm, TrialView
from tuner.search.decision.rungs import audits, confirm_seeds, most_confirmations
from tuner.search.decision.standings import Standings, has_diverged, loss_at
from tuner.search.divergence import are_stable

SETTLING_SEEDS: Final = 3
"""Fresh seeds after which a candidate that is significantly worse is trained no more."""
_SETTLED: Final = 0.995
"""Confidence of that test: well above that of the report, so that further seeds would not change its conclusion."""


def missing_audits(standings: Standings) -> Iterator[Audit]:
    """The pruned trials that are still to be trained to the horizon, drawn by the search's seed."""
    state = standings.state
    pruned = [trial.number for trial in standings.pruned]
    wanted = audits(len(pruned), share=standings.settings.audit)
    asked = {audit.trial for audit in state.audits}
    random.Random(standings.settings.seed).shuffle(pruned)
    left = [number for number in pruned if number not in asked]
    for number in left[: max(0, wanted - len(asked))]:
        reason = f"audit: it was pruned, and {wanted} of {len(pruned)} pruned trials show what that lost"
        yield Audit(trial=number, reason=reason)


def candidates(standings: Standings) -> dict[int, str]:
    """The trials to confirm, by number, each with the reason why: the best, the measured controls, the runners-up.

    A pruned trial whose audit brought it among the best is one of them. A finalist that diverged on a fresh seed
    stays one, and the next best with a lower peak joins it.
    """
    finalists = _finalists(standings)
    chosen = dict(list(finalists.items())[:1])
    for control in MEASURED_AGAINST if standings.settings.controls else ():
        best = next((trial for trial in standings.completed if trial.control is control), None)
        if best is not None:
            chosen.setdefault(best.number, f"the best {control} control, to measure the recommendation against")
    for number, why in finalists.items():
        chosen.setdefault(number, why)
    return chosen


def _finalists(standings: Standings) -> dict[int, str]:
    confirmed = {run.trial for run in standings.state.confirmations if run.finished}
    diverged = {run.trial for run in standings.state.confirmations if run.finished and run.loss is None}
    limit = min((_peak(standings.trials[number]) for number in diverged), default=math.inf)
    finalists: dict[int, str] = {}
    for place, (loss, number) in enumerate(_ranked(standings), start=1):
        if len(finalists.keys() - diverged) == standings.settings.finalists:
            break
        if number in confirmed or _peak(standings.trials[number]) < limit:
            finalists[number] = f"number {place} at the full horizon ({standings.state.metric.described(loss)})"
    return finalists


def _peak(trial: TrialView) -> float:
    return 0.0 if trial.schedule is None else trial.schedule.peak_lr


def missing_confirmations(standings: Standings) -> Iterator[Confirm]:
    """The confirmation runs that are not requested yet: every candidate on one seed before any on the next.

    From the fourth seed on, settled candidates are left out; when no candidate is left to distinguish from the best, so
    is the best. Finalists that join late cost no more than planned: the last seeds of some candidates pay for theirs.
    """
    chosen = candidates(standings)
    if not chosen:
        return
    seeds = confirm_seeds(standings.settings)
    asked = {(run.trial, run.seed) for run in standings.state.confirmations}
    most = left = most_confirmations(standings.settings) - sum(trial in chosen for trial, _ in asked)
    for place, seed in enumerate(seeds, start=1):
        open_ones: Sequence[int] = list(chosen)
        if place > SETTLING_SEEDS:
            earlier = _losses(standings, chosen, seeds=seeds[: place - 1])
            if earlier is None or left < most:
                return  # pending runs may settle more
            open_ones = unsettled(earlier)
        for trial in open_ones:
            if (trial, seed) not in asked and left > 0:
                left -= 1
                yield Confirm(trial=trial, seed=seed, reason=f"{chosen[trial]}: fresh seed {place} of {len(seeds)}")


def unsettled(losses: Mapping[int, Sequence[float | None]]) -> list[int]:
    """The candidates that more seeds could still distinguish; none when there is at most one.

    A candidate is settled when its losses, paired by seed, lie significantly above the best's (Student's t, one-sided,
    at 99.5 %), or when it diverged. Candidates with fewer losses than the best were settled before.

    Args:
        losses: By trial, its losses on the first fresh seeds, in the order of the seeds; ``None`` where it diverged or
            failed. At least one trial.

    Returns:
        Trial numbers, in the order of ``losses``, the best among them.
    """
    most = max(map(len, losses.values()))
    alive = {trial: row for trial, row in losses.items() if len(row) == most}
    whole = {trial: [loss for loss in row if loss is not None] for trial, row in alive.items() if None not in row}
    if not whole:
        return []
    best = min(whole, key=lambda trial: (statistics.median(whole[trial]), trial))
    left = [trial for trial, row in whole.items() if trial == best or not _is_behind(row, best=whole[best])]
    return left if len(left) > 1 else []


def _is_behind(row: Sequence[float], *, best: Sequence[float]) -> bool:
    apart = [own - other for own, other in zip(row, best, strict=True)]
    mean = statistics.fmean(apart)
    if len(apart) < SETTLING_SEEDS or mean <= 0:
        return False
    error = statistics.stdev(apart) / math.sqrt(len(apart))
    return mean > float(stdtrit(len(apart) - 1, _SETTLED)) * error


def _losses(
    standings: Standings, chosen: Mapping[int, str], *, seeds: Sequence[int]
) -> dict[int, list[float | None]] | None:
    """Each candidate's losses on these seeds, as far as requested; ``None`` while one of them is pending."""
    runs = {(run.trial, run.seed): run for run in standings.state.confirmations}
    rows: dict[int, list[float | None]] = {}
    for trial in chosen:
        row = [runs[trial, seed] for seed in seeds if (trial, seed) in runs]
        if not all(run.finished for run in row):
            return None
        rows[trial] = [run.loss for run in row]
    return rows


def _ranked(standings: Standings) -> list[tuple[float, int]]:
    """Loss and number of the trials that have a loss at the horizon, audits included, the best first.

    Trials whose peak is near one that diverged, so that they may diverge on another seed, come last.
    """
    completed: Sequence[TrialView] = standings.completed
    ends = [(loss_at(trial, standings.top), trial.number) for trial in completed]
    ends += [(audit.loss, audit.trial) for audit in standings.state.audits if audit.loss is not None]
    safe = _safe_peaks(standings)
    return sorted(ends, key=lambda end: (_peak(standings.trials[end[1]]) not in safe, end))


def _safe_peaks(standings: Standings) -> set[float]:
    """The peaks at which a run on another seed is likely to be stable."""
    space = standings.settings.space
    ended = [trial for trial in standings.trials if trial.results and trial.schedule is not None]
    tried = sorted({_peak(trial) for trial in standings.trials})
    if space is None or not any(map(has_diverged, ended)):
        return set(tried)
    safe = are_stable(
        [peak for peak in tried if peak > 0],
        stable=(_peak(trial) for trial in ended if not has_diverged(trial)),
        diverged=(_peak(trial) for trial in ended if has_diverged(trial)),
        peaks=(space.peak_lr.low, space.peak_lr.high),
    )
    return {peak for peak, yes in zip((peak for peak in tried if peak > 0), safe.tolist(), strict=True) if yes}
