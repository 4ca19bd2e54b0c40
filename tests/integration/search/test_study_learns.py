"""The sampler is worth its while: on a landscape like that of real schedules it beats random search."""

from __future__ import annotations

import math
import random
import statistics

from optuna.storages import InMemoryStorage

from tuner.schedules import Schedule, Wsd
from tuner.search.decisions import NewTrial, StudyState
from tuner.search.ladder import rung_steps
from tuner.search.settings import SearchSettings
from tuner.search.simulate import simulate
from tuner.search.space import Choice, OptimizerKind, Value, default_space
from tuner.search.study import Study, StudyTrial

SPACE = default_space(OptimizerKind.ADAM)
SEEDS = range(7)


def landscape(schedule: Schedule, steps: int, seed: int) -> float | None:
    """A bowl in the log of the peak whose place and depth depend on the family; too high a peak diverges."""
    best_peak, depth = {"constant": (5e-4, 1.0), "cosine": (2e-3, 0.1), "linear": (2e-3, 0.12)}.get(
        schedule.family.name, (1e-3, 0.3)
    )
    if isinstance(schedule.family, Wsd) and isinstance(schedule.family.cooldown, float):
        best_peak = 1e-3 * (1 + 4 * schedule.family.cooldown)
        depth = (schedule.family.cooldown - 0.7) ** 2 + (0.0 if schedule.family.shape == "1-sqrt" else 0.05)
    if schedule.peak_lr > 2e-2:
        return None
    warmup = 0.0 if schedule.warmup.fraction is None else abs(schedule.warmup.fraction - 0.02)
    return 2.0 + depth + math.log10(schedule.peak_lr / best_peak) ** 2 + warmup + schedule.floor + 10 / steps


def best_found(settings: SearchSettings, *, learning: bool) -> float:
    study = Study.open(InMemoryStorage(), name="job", settings=settings)
    rng = random.Random(settings.seed)
    steps = rung_steps(settings)

    def ask(state: StudyState, decision: NewTrial) -> Schedule:
        study.sync(
            [
                StudyTrial(
                    optuna_number=trial.number,
                    steps_results=tuple((steps[rung], one.loss) for rung, one in enumerate(trial.results)),
                    status=trial.status,
                )
                for trial in state.trials
            ]
        )
        given = decision.schedule if learning else decision.schedule or by_chance(rng)
        return study.ask(number=decision.number, schedule=given).schedule

    result = simulate(settings, loss=landscape, ask=ask, workers=1)
    losses = [loss for trial in result.state.trials if (loss := trial.results[-1].loss) and len(trial.results) == 3]
    return min(losses)


def by_chance(rng: random.Random) -> Schedule:
    family = rng.choice(SPACE.families).name
    values: dict[str, Value] = {"family": family}
    for name, parameter in SPACE.parameters(family).items():
        if isinstance(parameter, Choice):
            values[name] = rng.choice(parameter.values)
        elif name == "peak_lr":
            values[name] = parameter.low * (parameter.high / parameter.low) ** rng.random()
        else:
            values[name] = rng.uniform(parameter.low, parameter.high)
    return SPACE.build(values)


def test_after_sixty_trials_the_sampler_has_found_better_than_chance() -> None:
    searches = [
        SearchSettings(total_steps=900, trials=60, seed=seed, space=SPACE, finalists=1, confirm_seeds=2)
        for seed in SEEDS
    ]

    learned = statistics.median(best_found(one, learning=True) for one in searches)
    lucky = statistics.median(best_found(one, learning=False) for one in searches)

    assert learned < lucky
