"""Our study on a case, and everything that can be said of it because the truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from benchmarks.search.cases import Case
from tuner.report.report import Report, Verdict
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import GiveUp, RunStatus, TrialStatus
from tuner.search.decision.estimates import Estimates
from tuner.search.simulate import SimulatedRun, Simulation, simulate
from tuner.simulation import report_of

Truth = Callable[[Configuration], float]
"""The true loss of a configuration."""


def ours(case: Case, *, budget: float) -> dict[str, Any]:
    """One study at this price."""
    usual = case.incumbent.options
    simulation = simulate(case.settings(budget=budget), oracle=case.oracle, pool=case.candidates, usual_options=usual)
    return measured(simulation, truth=case.truth.__getitem__, best=case.best, incumbent=case.incumbent)


def measured(simulation: Simulation, *, truth: Truth, best: float, incumbent: Configuration) -> dict[str, Any]:
    """What a study recommended, said and cost, against the truth.

    Args:
        simulation: The study.
        truth: The true losses of the configurations that it tried, and of the incumbent.
        best: The least true loss of what it could have tried.
        incumbent: What it was measured against.
    """
    steps = simulation.state.settings.total_steps
    row: dict[str, Any] = {
        "cost": simulation.updates / steps,
        "incumbent": truth(incumbent),
        "best": best,
        "stops": stops(simulation, truth=truth),
    }
    if isinstance(simulation.decisions[-1], GiveUp):
        # Nothing came of it: whoever asked goes on with the incumbent.
        return {**row, "label": "(no result)", "true": truth(incumbent), "pairs": [0, 0], "verdicts": []}
    report = report_of(simulation)
    trials = simulation.state.trials
    recommended = trials[report.recommended.trial].configuration
    return {
        **row,
        "label": recommended.label,
        "true": truth(recommended),
        "trials": len(trials),
        "pairs": _covered(simulation, truth=truth),
        "verdicts": list(_verdicts(report, simulation=simulation, truth=truth, best=best)),
        "margin": report.margin.value,
    }


def _covered(simulation: Simulation, *, truth: Truth) -> list[int]:
    """Of all pairs of trials: how many 95 % intervals contain the true difference, and how many there are."""
    estimates = Estimates(simulation.state)
    true = {number: truth(simulation.state.trials[number].configuration) for number in estimates.trials}
    covered = total = 0
    for one, other in combinations(estimates.trials, 2):
        difference = estimates.difference(one, to=other)
        covered += difference.low <= true[one] - true[other] <= difference.high
        total += 1
    return [covered, total]


def _verdicts(report: Report, *, simulation: Simulation, truth: Truth, best: float) -> Iterator[dict[str, Any]]:
    """What the report says against each rival, and whether that is wrong.

    "It helps" is wrong where it truly does not; "it does not help", where something that could have been tried truly
    does by more than the margin.
    """
    trials = simulation.state.trials
    for comparison in report.comparisons:
        said = {"rival": comparison.rival.value, "verdict": comparison.verdict.value}
        if comparison.trial is None or comparison.best is None:
            yield {**said, "wrong": False}
            continue
        rival = truth(trials[comparison.trial].configuration)
        gain = rival - truth(trials[comparison.best].configuration)
        wrong = {
            Verdict.HELPS: gain <= 0.0,
            Verdict.DOES_NOT_HELP: rival - best > report.margin.value,
            Verdict.NOT_SETTLED: False,
        }
        yield {
            **said,
            "gain": gain,
            "possible": rival - best,
            "wrong": wrong[comparison.verdict],
        }


def stops(simulation: Simulation, *, truth: Truth) -> Mapping[str, Any]:
    """What stopping early saved, and whom it stopped.

    A false prune is a run that a forecast would stop, audited or not, and that would have ended below the leader by the
    margin.
    """
    total_steps = simulation.state.settings.total_steps
    stopped = [run for run in simulation.runs if run.status is RunStatus.STOPPED]
    best = min(simulation.state.trials, key=lambda trial: truth(trial.configuration))
    return {
        "runs": len(simulation.runs),
        "stopped": len(stopped),
        "trained": simulation.updates / total_steps,
        "saved": sum((total_steps if run.outcome is None else run.outcome.steps) - run.steps for run in stopped)
        / total_steps,
        "false": sum(map(is_false_prune, simulation.runs)),
        "best_asked_stopped": any(run.trial == best.number for run in stopped) and best.status is TrialStatus.PRUNED,
    }


def is_false_prune(run: SimulatedRun) -> bool:
    """Whether a forecast would stop a run that would have beaten the leader by the margin."""
    check = next((check for check in run.checks if check.stop), None)
    if check is None or run.outcome is None or run.outcome.loss is None:
        return False
    return run.outcome.loss < check.leader.mean - check.margin
