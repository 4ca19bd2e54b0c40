"""What stopping early saves on random schedules, and whom it stops: one after the other, each on the first seed."""

from __future__ import annotations

from random import Random
from typing import Any

from benchmarks.search.cases import Case
from benchmarks.search.ours import stops
from tuner.search.decision.decisions import Decision, Finish, NewTrial, RunStatus, StudyState
from tuner.search.decision.plan import plan
from tuner.search.decision.seeds import run_seed
from tuner.search.simulate import simulate

SCHEDULES = 16


def random_stops(case: Case) -> dict[str, Any]:
    """Train some of the candidates, in a random order, and stop by their forecasts those that cannot win."""
    order = Random(f"random schedules of study {case.number}").sample(
        case.candidates, min(SCHEDULES, len(case.candidates))
    )

    def planner(state: StudyState, *, capacity: int) -> tuple[Decision, ...]:
        if not capacity:
            return plan(state, capacity=0)
        number = len(state.trials)
        if number < len(order):
            seed = run_seed(state.settings.seed, place=0)
            reason = "the next by chance"
            return (NewTrial(number=number, role=None, configuration=order[number], seed=seed, reason=reason),)
        running = any(run.status is RunStatus.RUNNING for run in state.runs)
        return () if running else (Finish(reason="all were trained"),)

    # A budget that is not reached: the plan closes trials, and ends nothing.
    settings = case.settings(budget=2.0 * SCHEDULES)
    simulation = simulate(settings, oracle=case.oracle, planner=planner, usual_options=case.incumbent.options)
    return {"stops": stops(simulation, truth=case.truth.__getitem__)}
