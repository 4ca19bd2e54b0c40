"""The rungs of a search, and its price: an upper bound of its cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tuner.schedules import Schedule
from tuner.search.decision.controls import control_count
from tuner.search.decision.decisions import MEASURED_AGAINST
from tuner.search.settings import SearchSettings

MIN_RUNG_STEPS: Final = 10
"""Updates below which a run says nothing about its schedule, so that a shorter rung is left out."""
PREDICTIVE_RUNG_STEPS: Final = 2_000
"""Updates below which a run predicts one three times as long badly: the best peaks are others (docs/benchmarks.md).
Rungs are at least this long, unless ``rungs`` is set."""
_MOST_RUNGS: Final = 3
_WARMUP_SHARE: Final = 10
_SEEDS: Final = 2**31


@dataclass(frozen=True, kw_only=True)
class Price:
    """The upper bound of a search's cost."""

    rung_runs: tuple[int, ...]
    """Runs at each rung, from rung 0 up."""
    audit_runs: int
    confirm_runs: int
    updates: int
    """Updates of all runs; never above ``max_updates`` where that is set."""
    updates_all_full: int
    """What training every trial to the full horizon once would cost, for comparison."""
    least: int
    """The smallest ``max_updates`` that can lead to a recommendation."""


def rung_steps(settings: SearchSettings) -> tuple[int, ...]:
    """Updates of each rung.

    From the horizon down, each rung is the one above divided by the ratio, rounded up: so the ratio between neighbors
    is never above the one asked for. A rung under `MIN_RUNG_STEPS` is left out, and so are those below it.

    Args:
        settings: The search.

    Returns:
        Strictly ascending; the last is the horizon. At least one.
    """
    steps = [settings.total_steps]
    most, least = (_MOST_RUNGS, PREDICTIVE_RUNG_STEPS) if settings.rungs is None else (settings.rungs, MIN_RUNG_STEPS)
    while len(steps) < most:
        below = math.ceil(steps[-1] / settings.ratio)
        if below < least or below == steps[-1]:
            break
        steps.append(below)
    return tuple(reversed(steps))


def rung_schedule(schedule: Schedule, *, settings: SearchSettings, rung: int) -> Schedule:
    """The schedule that is trained at a rung: the whole of it, compressed.

    Its warm-up keeps its length in updates as far as that is a tenth of the rung or less, and never becomes a smaller
    fraction of it. So schedules that hold their peak share a prefix at all rungs, which is trained once.

    Args:
        schedule: At the full horizon.
        settings: The search.
        rung: Index into `rung_steps`.

    Returns:
        The schedule for that many updates; ``schedule`` itself at the top rung.
    """
    steps = rung_steps(settings)[rung]
    if steps == settings.total_steps:
        return schedule
    return schedule.compressed(steps, from_steps=settings.total_steps, min_warmup=steps // _WARMUP_SHARE)


def search_seed(settings: SearchSettings) -> int:
    """The seed of every rung run: one for all, so that schedules are compared on the same data and initial weights."""
    return settings.seed


def confirm_seeds(settings: SearchSettings) -> tuple[int, ...]:
    """The seeds of the confirmation runs: none of them is the search's, whose luck chose the finalists."""
    return tuple((settings.seed + 1 + i) % _SEEDS for i in range(settings.confirm_seeds))


def quota(results: int, *, keep: float) -> int:
    """How many of the trials with a result at a rung are promoted: a share of them, rounded up."""
    return math.ceil(keep * results - 1e-9)


def audits(pruned: int, *, share: float) -> int:
    """How many of so many pruned trials are trained to the horizon all the same: a share of them, rounded up."""
    return math.ceil(share * pruned - 1e-9)


def reserved_trials(settings: SearchSettings) -> int:
    """Trials whose promotion to the horizon and confirmation are reserved: the measured controls and the best."""
    return min(len(MEASURED_AGAINST) + 1, settings.trials) if settings.controls else 1


def reserved_seeds(settings: SearchSettings) -> int:
    """On how many seeds each of them can be confirmed out of the reserve.

    All of them without a limit; with one, as many as a third of it pays for, and at least one.
    """
    if settings.max_updates is None:
        return settings.confirm_seeds
    affordable = settings.max_updates // (3 * reserved_trials(settings) * settings.total_steps)
    return min(settings.confirm_seeds, max(1, affordable))


def most_confirmations(settings: SearchSettings) -> int:
    """How many confirmation runs a search makes at most."""
    measured = len(MEASURED_AGAINST) if settings.controls else 0
    return (settings.finalists + measured) * settings.confirm_seeds


def price(settings: SearchSettings) -> Price:
    """Bound the cost of a search from above.

    Args:
        settings: The search.

    Returns:
        The bound. A run that fails or diverges is counted whole.
    """
    steps = rung_steps(settings)
    extra = min(control_count(settings), len(MEASURED_AGAINST) * math.ceil(settings.trials / settings.cohort))
    runs = [settings.trials]
    while len(runs) < len(steps):
        runs.append(min(runs[-1], quota(runs[-1], keep=settings.keep) + extra))
    audit_runs = audits(settings.trials - 1, share=settings.audit) if len(steps) > 1 else 0
    confirm_runs = min((runs[-1] + audit_runs) * settings.confirm_seeds, most_confirmations(settings))
    updates = sum(n * cost for n, cost in zip(runs, steps, strict=True))
    updates += (audit_runs + confirm_runs) * settings.total_steps
    return Price(
        rung_runs=tuple(runs),
        audit_runs=audit_runs,
        confirm_runs=confirm_runs,
        updates=updates if settings.max_updates is None else min(updates, settings.max_updates),
        updates_all_full=settings.trials * settings.total_steps,
        least=reserved_trials(settings) * (sum(steps) + min(settings.confirm_seeds, 1) * settings.total_steps),
    )
