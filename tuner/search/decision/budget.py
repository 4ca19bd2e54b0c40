"""What a job may cost, before it is submitted: in full runs and updates. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tuner.search.settings import SearchSettings

_COMPARES_FROM: Final = 5.0
"""Budget from which the incumbent is trained in any case (`tuner.search.decision.choice`), ..."""
_BEFORE_INCUMBENT: Final = 2
"""... after so many schedules."""
_CERTAIN_FROM: Final = 9.0
"""Budget from which the certainty is full (`tuner.search.decision.values.certainty`)."""


_RANGE_TEST: Final = "It bounds the peaks that are worth a search; it recommends none."


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
    test = settings.range_test
    if test is not None and test.alone:
        return Price(full_runs=1.0, updates=test.updates, most_trials=0, expectation=_RANGE_TEST)
    tested = 0 if test is None else test.updates
    runs = int((settings.budget_steps - tested) / settings.total_steps + 1e-9)
    trials = runs if settings.trials is None else min(runs, settings.trials)
    full_runs = min(settings.budget, trials * settings.seeds + tested / settings.total_steps)
    return Price(
        full_runs=full_runs,
        updates=round(full_runs * settings.total_steps),
        most_trials=trials,
        expectation=_expectation(settings, trials=trials),
    )


def _expectation(settings: SearchSettings, *, trials: int) -> str:
    if trials < 2:
        return "One schedule is trained; nothing is compared."
    if settings.budget < _COMPARES_FROM or trials <= max(_BEFORE_INCUMBENT, len(settings.start)):
        return "A guess by expected loss: on a noisy workload it is often no better than a good default."
    if settings.budget < _CERTAIN_FROM:
        return "The incumbent is trained and compared: clear gains are usually found, small ones stay unsettled."
    return (
        "The incumbent is replaced only by a schedule that the model finds better with a probability of 97.7 %; "
        "small gains stay unsettled."
    )
