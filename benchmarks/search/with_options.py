"""Options of the workload searched along with the schedule: ours, with and without them, and its rivals."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import optuna

from benchmarks.search.oracle import TASKS, Task, space_of, trained
from benchmarks.search.study import random_point, recommended, suggest, suggest_one
from tuner.search.configuration import Configuration, option_values
from tuner.search.sampler.grid import sample_value
from tuner.search.settings import SearchSettings
from tuner.search.simulate import simulate
from tuner.search.space import Choice, FloatRange, Parameter

BUDGET = 15
"""Full runs of every method; ours confirms within it."""
FRESH_SEEDS = (1001, 1002, 1003)
DECAY = FloatRange(low=1e-5, high=0.1, log=True)
MOMENTUM = Choice(values=(0.8, 0.9, 0.95, 0.98))
RANGES: dict[str, dict[str, Parameter]] = {
    "digits": {"weight_decay": DECAY, "momentum": MOMENTUM, "dropout": FloatRange(low=0.0, high=0.5)},
    "terrain": {"weight_decay": DECAY, "momentum": MOMENTUM},
}
USUAL = {"weight_decay": 1e-3, "momentum": 0.9, "dropout": 0.1}
_TASKS = {task.name: task for task in TASKS if task.name in RANGES}


def run(*, seeds: int, workers: int) -> dict[str, Any]:
    """By task and method, the median over the seeds, and how often ours with options is better."""
    wanted = [(task, method, seed) for task in _TASKS for method in METHODS for seed in range(seeds)]
    with ProcessPoolExecutor(workers) as pool:
        losses = dict(zip(wanted, pool.map(_study, *zip(*wanted, strict=True)), strict=True))
    return {
        "seeds": seeds,
        "budget": BUDGET,
        "tasks": {
            task: {
                method: {
                    "median": statistics.median(losses[task, method, seed] for seed in range(seeds)),
                    "ours_better": statistics.fmean(
                        losses[task, OURS, seed] < losses[task, method, seed] for seed in range(seeds)
                    ),
                }
                for method in METHODS
            }
            for task in _TASKS
        },
    }


def _study(task_name: str, method: str, seed: int) -> float:
    """Median loss of the recommendation on fresh seeds."""
    task = _TASKS[task_name]
    found = METHODS[method](task, seed)
    losses = [_loss(task, found, seed=fresh) for fresh in FRESH_SEEDS]
    return statistics.median(float("inf") if loss is None else loss for loss in losses)


def _loss(task: Task, configuration: Configuration, *, seed: int) -> float | None:
    return trained(task, configuration, steps=task.total_steps, seed=seed)[1]


def _ours(*, with_options: bool) -> Callable[[Task, int], Configuration]:
    def search(task: Task, seed: int) -> Configuration:
        ranges = RANGES[task.name] if with_options else {}
        settings = SearchSettings(
            total_steps=task.total_steps, budget=BUDGET, seed=seed, space=space_of(task), options=ranges
        )
        simulation = simulate(
            settings,
            oracle=lambda configuration, steps, run_seed: trained(task, configuration, steps=steps, seed=run_seed),
            usual_options=option_values({name: USUAL[name] for name in ranges}),
        )
        return recommended(simulation)

    return search


def _best(task: Task, tried: list[Configuration], *, seed: int) -> Configuration:
    def loss(configuration: Configuration) -> float:
        found = _loss(task, configuration, seed=seed)
        return float("inf") if found is None else found

    return min(tried, key=loss)


def _random(task: Task, seed: int) -> Configuration:
    rng = np.random.default_rng(seed)
    tried = []
    for _ in range(BUDGET):
        schedule = space_of(task).build(random_point(space_of(task), rng=rng))
        options = {name: sample_value(parameter, rng=rng) for name, parameter in RANGES[task.name].items()}
        tried.append(Configuration(schedule=schedule, options=option_values(options)))
    return _best(task, tried, seed=seed)


def _tpe(task: Task, seed: int) -> Configuration:
    """Optuna's TPE over the same, without pruning: all of its runs are full, as ours are at these horizons."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    tried = []
    for _ in range(BUDGET):
        trial = study.ask()
        schedule = space_of(task).build(suggest(trial, space=space_of(task)))
        options = {name: suggest_one(trial, name, parameter) for name, parameter in RANGES[task.name].items()}
        tried.append(Configuration(schedule=schedule, options=option_values(options)))
        loss = _loss(task, tried[-1], seed=seed)
        study.tell(trial, loss, state=None if loss is not None else optuna.trial.TrialState.PRUNED)
    return _best(task, tried, seed=seed)


OURS = "ours, options too"
METHODS: dict[str, Callable[[Task, int], Configuration]] = {
    OURS: _ours(with_options=True),
    "ours, schedule alone": _ours(with_options=False),
    "random, options too": _random,
    "TPE, options too": _tpe,
}
