"""Our search, as in jobs, over the recorded runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from benchmarks.search.table import HORIZON, SPACE, Config, recorded
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import NewTrial, StudyState, TrialStatus
from tuner.search.sampler.propose import propose_among
from tuner.search.settings import SearchSettings
from tuner.search.simulate import simulate

RUNG = HORIZON // 2
"""The shortest length at which every configuration was recorded."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result of a search over the table."""

    config: Config
    cost: float
    """In full runs."""
    best_asked_trained: bool
    """Whether the best of the configurations that it asked for was trained to the horizon."""
    trials: int


Chooser = Callable[[list[Config], StudyState, NewTrial], Config]
"""Chooses a configuration among those that were not tried."""


def search(
    configs: list[Config], *, budget: float | None, seed: int, chooser: Chooser | None = None, **changes: object
) -> Found:
    """One search that may spend so many full runs, or as many as its trials take; our sampler chooses by default."""
    table = recorded()
    by_schedule = {config.schedule: config for config in configs}
    settings = SearchSettings.model_validate(
        {
            "total_steps": HORIZON,
            "trials": len(configs),
            "max_updates": None if budget is None else int(budget * HORIZON),
            "rungs": 2,
            "ratio": 2.0,
            "controls": False,
            "audit": 0.0,
            "confirm_seeds": 0,
            "seed": seed,
            "space": SPACE,
            **changes,
        }
    )
    prefixes: defaultdict[float, int] = defaultdict(int)
    order = [Configuration(schedule=schedule) for schedule in by_schedule]
    Random(seed).shuffle(order)  # the first of equals is proposed

    def loss(configuration: Configuration, steps: int, _: int) -> float:
        return table.loss(by_schedule[configuration.schedule], steps)

    def ask(state: StudyState, decision: NewTrial) -> Configuration:
        if chooser is None:
            return propose_among(order, state=state)
        tried = {trial.schedule for trial in state.trials}
        left = [config for one, config in by_schedule.items() if one not in tried]
        return Configuration(schedule=chooser(left, state, decision).schedule)

    def run_cost(configuration: Configuration, steps: int, _: int) -> int:
        config = by_schedule[configuration.schedule]
        shared = min(config.hold(steps), prefixes[config.peak_lr])
        prefixes[config.peak_lr] = max(config.hold(steps), prefixes[config.peak_lr])
        return steps - shared

    result = simulate(settings, loss=loss, ask=ask, run_cost=run_cost, workers=1)
    asked = [by_schedule[trial.schedule] for trial in result.state.trials if trial.schedule is not None]
    trained = {
        by_schedule[trial.schedule]
        for trial in result.state.trials
        if trial.schedule is not None and trial.status is TrialStatus.COMPLETED
    }
    best = min(asked, key=lambda config: table.loss(config, HORIZON))
    if result.winner is None or result.winner.schedule is None:
        raise RuntimeError("the search found nothing")
    return Found(
        config=by_schedule[result.winner.schedule],
        cost=result.updates / HORIZON,
        best_asked_trained=best in trained,
        trials=len(asked),
    )
