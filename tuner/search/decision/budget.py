"""What a job may cost, before it is submitted: in full runs and updates. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.search.settings import SearchSettings


@dataclass(frozen=True, kw_only=True)
class Price:
    """The upper bound of a search's cost."""

    full_runs: float
    updates: int
    most_trials: int
    """Schedules that it can try at most."""
    expectation: str
    """How sure a recommendation of that price tends to be, in one sentence."""


def price(settings: SearchSettings) -> Price:
    """Bound the cost of a search from above.

    Args:
        settings: The search.
    """
    runs = int(settings.budget + 1e-9)
    trials = runs if settings.trials is None else min(runs, settings.trials)
    full_runs = min(settings.budget, float(trials * settings.seeds))
    return Price(
        full_runs=full_runs,
        updates=round(full_runs * settings.total_steps),
        most_trials=trials,
        expectation=_expectation(full_runs),
    )


def _expectation(full_runs: float) -> str:
    if full_runs < 2:
        return "The best guess of theory is trained once; nothing is compared."
    if full_runs < 5:
        return "A better peak rate and shape than the default is usually found; small gains stay unsettled."
    return "The recommended schedule is usually close to the best; gains well above the noise over seeds are settled."
