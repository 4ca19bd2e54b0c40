"""One study of one method on one task of real training: what it recommends for equal updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import optuna

from benchmarks.search.oracle import Task, curve, final_loss, space_of, trained
from tuner.schedules import Cosine, Linear, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.decision.estimates import Estimates
from tuner.search.settings import SearchSettings
from tuner.search.simulate import Simulation, simulate
from tuner.search.space import Choice, FloatRange, Parameter, SearchSpace, Value

BUDGET = 8
"""Full runs that every method may spend."""
WARMUP = Warmup(shape="linear", fraction=0.05)
Method = Callable[[Task, int], Schedule | None]
"""``method(task, seed)``: the schedule that it recommends; ``None`` when everything diverged."""


@dataclass(kw_only=True)
class Spending:
    """A rival's updates, and the best that it found. It may finish its current run."""

    total_steps: int
    updates: int = 0
    loss: float = float("inf")
    best: Schedule | None = None

    @property
    def may_train(self) -> bool:
        """Whether the budget allows another run."""
        return self.updates < BUDGET * self.total_steps

    def record(self, schedule: Schedule, loss: float | None, *, updates: int = 0) -> None:
        """A run of the full horizon has ended."""
        self.updates += updates
        if loss is not None and loss < self.loss:
            self.loss, self.best = loss, schedule


def ours(task: Task, seed: int) -> Schedule | None:
    """Our study as in a job, its confirmation included; an update that runs share is paid by each of them."""

    def oracle(configuration: Configuration, steps: int, run_seed: int) -> tuple[list[tuple[int, float]], float | None]:
        return trained(task, configuration, steps=steps, seed=run_seed)

    settings = SearchSettings(total_steps=task.total_steps, budget=BUDGET, seed=seed, space=space_of(task))
    return recommended(simulate(settings, oracle=oracle)).schedule


def recommended(simulation: Simulation) -> Configuration:
    """The configuration that a study recommends."""
    trial = Estimates(simulation.state).recommended
    return simulation.state.trials[trial].configuration


def random_search(task: Task, seed: int) -> Schedule | None:
    """Points of the whole space, each trained in full."""
    rng = np.random.default_rng(seed)
    space = space_of(task)
    found = Spending(total_steps=task.total_steps)
    while found.may_train:
        schedule = space.build(random_point(space, rng=rng))
        loss, updates = final_loss(task, schedule, steps=task.total_steps, seed=seed)
        found.record(schedule, loss, updates=updates)
    return found.best


def optuna_search(
    sampler: Callable[[int], optuna.samplers.BaseSampler], pruner: Callable[[], optuna.pruners.BasePruner]
) -> Method:
    """An Optuna study as its users write it: each evaluation is reported, and bad trials are pruned."""

    def search(task: Task, seed: int) -> Schedule | None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=sampler(seed), pruner=pruner())
        space = space_of(task)
        found = Spending(total_steps=task.total_steps)
        while found.may_train:
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
            study.tell(trial, last if state is None else None, state=state)
            found.record(schedule, last if state is None else None, updates=done)
        return found.best

    return search


def default_with_tuned_peak(family: Cosine | Linear) -> Method:
    """A well-known schedule, at peaks spread evenly over the range (the first is random)."""

    def search(task: Task, seed: int) -> Schedule | None:
        found = Spending(total_steps=task.total_steps)
        peaks = space_of(task).peak_lr
        place = np.random.default_rng(seed).uniform()
        for index in range(BUDGET):
            peak = peaks.low * (peaks.high / peaks.low) ** ((index + place) / BUDGET)
            schedule = Schedule(peak_lr=float(peak), family=family, warmup=WARMUP)
            loss, updates = final_loss(task, schedule, steps=task.total_steps, seed=seed)
            found.record(schedule, loss, updates=updates)
        return found.best

    return search


def suggest(trial: optuna.Trial, *, space: SearchSpace) -> dict[str, Value]:
    """A point of the space, suggested parameter by parameter."""
    family = trial.suggest_categorical("family", space.keys)
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
    family = str(rng.choice(space.keys))
    return {"family": family, **dict(_random_values(space, family, rng=rng))}


def _random_values(space: SearchSpace, family: str, *, rng: np.random.Generator) -> Iterator[tuple[str, Value]]:
    for name, parameter in space.parameters(family).items():
        if isinstance(parameter, Choice):
            yield name, parameter.values[rng.integers(len(parameter.values))]
        elif parameter.log:
            yield name, float(np.exp(rng.uniform(np.log(parameter.low), np.log(parameter.high))))
        else:
            yield name, float(rng.uniform(parameter.low, parameter.high))


METHODS: dict[str, Method] = {
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
