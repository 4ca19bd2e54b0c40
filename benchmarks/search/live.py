"""Our study on live workloads and the default space: harm against the default, on seeds that no study has seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.lab.live import LiveWorkload, live
from benchmarks.lab.power_law import POWER_LAWS, PowerLaw
from benchmarks.search.ours import measured
from benchmarks.search.parallel import in_parallel
from benchmarks.search.replay import OURS
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration
from tuner.search.decision.incumbent import default_schedule
from tuner.search.settings import SearchSettings
from tuner.search.simulate import Simulation, simulate

BUDGETS = (10.0,)
Job = tuple[str, int, float, Schedule | None]
"""Workload, number of the study, budget, incumbent."""


def run(
    name: str, *, studies: int, budgets: Sequence[float], incumbent: Schedule | None, workers: int
) -> list[dict[str, Any]]:
    """So many studies at each price; the row of each, in their order.

    Args:
        name: A workload of the laboratory.
        studies: Their numbers are the seeds of the searches.
        budgets: In full runs.
        incumbent: The usual default when absent.
        workers: Processes.

    Raises:
        InvalidValue: There is no such workload.
    """
    workload = workload_of(name)
    jobs = [(name, number, budget, incumbent) for number in range(studies) for budget in budgets]
    simulations = list(in_parallel(_study, jobs, workers=workers))
    tried = [trial.configuration for one in simulations for trial in one.state.trials]
    default = Configuration(schedule=incumbent or default_schedule(_settings(jobs[0])))
    truth = true_losses(name, dict.fromkeys([default, *tried]))
    best = workload.optimum if isinstance(workload, PowerLaw) else min(truth.values())
    return [
        {
            "study": number,
            "method": OURS,
            "budget": budget,
            **measured(simulation, truth=truth.__getitem__, best=best, incumbent=default),
        }
        for (_, number, budget, _), simulation in zip(jobs, simulations, strict=True)
    ]


def workload_of(name: str) -> LiveWorkload | PowerLaw:
    """A workload by its name.

    Raises:
        InvalidValue: There is none.
    """
    return POWER_LAWS[name] if name in POWER_LAWS else live(name)


def true_losses(name: str, configurations: Iterable[Configuration]) -> dict[Configuration, float]:
    """Exact ones where they are known; otherwise means over unused seeds.

    A run that diverged counts as the worst that did not, as in a table.
    """
    wanted = list(configurations)
    workload = workload_of(name)
    if isinstance(workload, PowerLaw):
        return dict(zip(wanted, workload.true_losses(wanted), strict=True))
    losses = workload.losses(wanted)
    finite = np.where(np.isfinite(losses), losses, losses[np.isfinite(losses)].max())
    return dict(zip(wanted, finite.mean(axis=1).tolist(), strict=True))


def _settings(job: Job) -> SearchSettings:
    name, number, budget, incumbent = job
    workload = workload_of(name)
    return SearchSettings(
        total_steps=workload.total_steps, budget=budget, seed=number, space=workload.space, incumbent=incumbent
    )


def _study(job: Job) -> Simulation:
    return simulate(_settings(job), oracle=workload_of(job[0]).oracle)
