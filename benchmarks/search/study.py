"""One study of one method on one task: what it recommends, and after how many updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import optuna

from benchmarks.search.oracle import Task, curve, final_loss, space_of
from tuner.schedules import Cosine, Linear, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.settings import SearchSettings
from tuner.search.simulate import simulate
from tuner.search.space import Choice, FloatRange, Parameter, SearchSpace, Value
from tuner.search.stage_tree import shared_prefix

BUDGET = 8
"""Full runs that every method may spend."""
MORE = 15
MANY = 60
"""Random search with these many full runs, and ours with a quarter of them."""
WARMUP = Warmup(shape="linear", fraction=0.05)


@dataclass(kw_only=True)
class Recommendations:
    """What a method recommends, as its updates are spent. Every method may finish its current run."""

    total_steps: int
    updates: int = 0
    best: float = float("inf")
    by_runs: dict[int, Schedule] = field(default_factory=dict)
    """Schedule by budget in full runs."""

    def spend(self, updates: int) -> None:
        self.updates += updates

    def record(self, schedule: Schedule, loss: float | None, *, budgets: tuple[int, ...]) -> None:
        """A run of the full horizon has ended; it counts for the budgets that were not exceeded when it started."""
        if loss is not None and loss < self.best:
            self.best = loss
            for budget in budgets:
                self.by_runs[budget] = schedule


def _open(found: Recommendations, budgets: tuple[int, ...]) -> tuple[int, ...]:
    """The budgets that still allow a run."""
    return tuple(budget for budget in budgets if found.updates < budget * found.total_steps)


def random_search(task: Task, seed: int) -> dict[int, Schedule]:
    """Points of the whole space, each trained in full."""
    rng = np.random.default_rng(seed)
    space = space_of(task)
    found, budgets = Recommendations(total_steps=task.total_steps), (BUDGET, MANY)
    while still := _open(found, budgets):
        schedule = space.build(random_point(space, rng=rng))
        loss, updates = final_loss(task, schedule, steps=task.total_steps, seed=seed)
        found.spend(updates)
        found.record(schedule, loss, budgets=still)
    return found.by_runs


def optuna_search(
    sampler: Callable[[int], optuna.samplers.BaseSampler], pruner: Callable[[], optuna.pruners.BasePruner]
) -> Callable[[Task, int], dict[int, Schedule]]:
    """An Optuna study as its users write it: each evaluation is reported, and bad trials are pruned."""

    def search(task: Task, seed: int) -> dict[int, Schedule]:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=sampler(seed), pruner=pruner())
        space = space_of(task)
        found, budgets = Recommendations(total_steps=task.total_steps), (BUDGET,)
        while still := _open(found, budgets):
            trial = study.ask()
            schedule = space.build(suggest(trial, space=space))
            done, last = 0, None
            state: optuna.trial.TrialState | None = None
            for index, (step, last) in enumerate(curve(task, schedule, steps=task.total_steps, seed=seed), start=1):
                done = step
                if last is not None:
                    trial.report(last, index)
                if last is None or (step < task.total_steps and trial.should_prune()):
                    state = optuna.trial.TrialState.PRUNED
                    break
            found.spend(done)
            if state is None:
                study.tell(trial, last)
                found.record(schedule, last, budgets=still)
            else:
                study.tell(trial, state=state)
        return found.by_runs

    return search


def default_with_tuned_peak(family: Cosine | Linear) -> Callable[[Task, int], dict[int, Schedule]]:
    """A well-known schedule, at peaks spread evenly over the range (the first is random)."""

    def search(task: Task, seed: int) -> dict[int, Schedule]:
        found = Recommendations(total_steps=task.total_steps)
        peaks = space_of(task).peak_lr
        place = np.random.default_rng(seed).uniform()
        for index in range(BUDGET):
            peak = peaks.low * (peaks.high / peaks.low) ** ((index + place) / BUDGET)
            schedule = Schedule(peak_lr=float(peak), family=family, warmup=WARMUP)
            loss, updates = final_loss(task, schedule, steps=task.total_steps, seed=seed)
            found.spend(updates)
            found.record(schedule, loss, budgets=(BUDGET,))
        return found.by_runs

    return search


def ours(task: Task, seed: int) -> dict[int, Schedule]:
    """Our search as in a job, without the controls, which no rival trains.

    Of the small budget one run confirms the recommendation; of the larger one, as many as by a job's defaults.
    """
    return {BUDGET: _ours(task, seed, budget=BUDGET, finalists=1, seeds=1), MORE: _ours(task, seed, budget=MORE)}


def _ours(task: Task, seed: int, *, budget: int, finalists: int = 3, seeds: int = 5) -> Schedule:
    settings = SearchSettings.model_validate(
        {
            "total_steps": task.total_steps,
            "trials": 8 * budget,
            "max_updates": budget * task.total_steps,
            "controls": False,
            "audit": 0.0,
            "finalists": finalists,
            "confirm_seeds": seeds,
            "seed": seed,
            "space": space_of(task),
        }
    )
    trained: dict[tuple[Schedule, int, int], tuple[float | None, int]] = {}
    lrs: dict[int, list[np.ndarray]] = {}

    def run(configuration: Configuration, steps: int, run_seed: int) -> tuple[float | None, int]:
        schedule = configuration.schedule
        key = (schedule, steps, run_seed)
        if key not in trained:
            loss, updates = final_loss(task, schedule, steps=steps, seed=run_seed)
            rates = schedule.lrs(steps)
            shared = max((shared_prefix(rates, other) for other in lrs.setdefault(run_seed, [])), default=0)
            lrs[run_seed].append(rates)
            trained[key] = loss, max(0, updates - shared)
        return trained[key]

    result = simulate(
        settings,
        loss=lambda configuration, steps, run_seed: run(configuration, steps, run_seed)[0],
        run_cost=lambda configuration, steps, run_seed: run(configuration, steps, run_seed)[1],
        workers=1,
    )
    if result.winner is None or result.winner.schedule is None:
        raise RuntimeError(f"nothing was found on {task.name} with seed {seed}")
    return result.winner.schedule


def suggest(trial: optuna.Trial, *, space: SearchSpace) -> dict[str, Value]:
    """A point of the space, suggested parameter by parameter."""
    family = trial.suggest_categorical("family", [one.name for one in space.families])
    return {"family": family, **{name: suggest_one(trial, name, one) for name, one in space.parameters(family).items()}}


def suggest_one(trial: optuna.Trial, name: str, parameter: Parameter) -> Value:
    """The value of one parameter."""
    match parameter:
        case FloatRange():
            return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
        case Choice():
            value: Value = trial.suggest_categorical(name, parameter.values)
            return value
    raise ValueError(f"{name} is no parameter of these spaces")


def random_point(space: SearchSpace, *, rng: np.random.Generator) -> dict[str, Value]:
    family = str(rng.choice([one.name for one in space.families]))
    return {"family": family, **dict(_random_values(space, family, rng=rng))}


def _random_values(space: SearchSpace, family: str, *, rng: np.random.Generator) -> Iterator[tuple[str, Value]]:
    for name, parameter in space.parameters(family).items():
        if isinstance(parameter, Choice):
            yield name, parameter.values[rng.integers(len(parameter.values))]
        elif parameter.log:
            yield name, float(np.exp(rng.uniform(np.log(parameter.low), np.log(parameter.high))))
        else:
            yield name, float(rng.uniform(parameter.low, parameter.high))


METHODS: dict[str, Callable[[Task, int], dict[int, Schedule]]] = {
    "ours": ours,
    "random": random_search,
    "tpe-median": optuna_search(lambda seed: optuna.samplers.TPESampler(seed=seed), optuna.pruners.MedianPruner),
    "tpe-hyperband": optuna_search(
        lambda seed: optuna.samplers.TPESampler(seed=seed),
        lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=20, reduction_factor=3),
    ),
    "cosine": default_with_tuned_peak(Cosine()),
    "linear": default_with_tuned_peak(Linear()),
}
