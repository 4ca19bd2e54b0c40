"""Our plan with other samplers than ours, over the recorded runs: what the sampler gains by itself.

Every sampler proposes the configurations of the same plan, and observes the losses of the rung that the plan promotes
by. The WSD part of the table alone (linear cooldowns, four peaks) is a space that CMA-ES can search as well.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import optuna

from benchmarks.search.replay_ours import RUNG, Chooser, search
from benchmarks.search.table import HORIZON, Config, recorded
from tuner.search.decision.decisions import NewTrial, StudyState

BUDGETS = (3.0, 6.0)
"""In full runs."""
ALL = "the whole table"
WSD = "linear cooldowns alone"
PEAKS = (1e-4, 5e-4, 1e-3, 2e-3)
COOLDOWNS = (0.1, 0.2, 0.4, 0.6, 0.8, 0.9)

SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "TPE, multivariate and grouped": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
    "Gaussian process": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "CMA-ES": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
}


def run(*, seeds: int, workers: int) -> dict[str, Any]:
    """By part of the table and sampler: the mean regret at each budget."""
    result: dict[str, Any] = {"seeds": seeds, "budgets": BUDGETS}
    with ProcessPoolExecutor(workers) as pool:
        for part in (ALL, WSD):
            result[part] = {}
            for name in ("ours", *SAMPLERS):
                if name == "CMA-ES" and part == ALL:
                    continue  # it cannot choose among families
                regrets = list(pool.map(partial(_regrets, name=name, part=part), range(seeds)))
                result[part][name] = [statistics.fmean(one) for one in zip(*regrets, strict=True)]
    return result


def _regrets(seed: int, *, name: str, part: str) -> list[float]:
    table = recorded()
    configs = [one for one in table.configs(RUNG) if part == ALL or one.family == "wsd-linear"]
    least = min(table.loss(config, HORIZON) for config in configs)
    found = []
    for budget in BUDGETS:
        chooser = None if name == "ours" else _optuna_chooser(SAMPLERS[name](seed), numeric=part == WSD)
        config = search(configs, budget=budget, seed=seed, chooser=chooser).config
        found.append(table.loss(config, HORIZON) - least)
    return found


def _optuna_chooser(sampler: optuna.samplers.BaseSampler, *, numeric: bool) -> Chooser:
    """Choose by an Optuna study of the rung's losses. A configuration asked for again has its loss at no cost."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")  # Optuna warns that some of its samplers are experimental
    study = optuna.create_study(sampler=sampler)
    table = recorded()

    def choose(left: list[Config], state: StudyState, decision: NewTrial) -> Config:
        for _ in range(200):
            trial = study.ask()
            config = _suggest(trial, numeric=numeric)
            known = config in left or any(config.schedule == one.schedule for one in state.trials)
            if not known:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            study.tell(trial, table.loss(config, RUNG))
            if config in left:
                return config
        return left[0]

    return choose


def _suggest(trial: optuna.Trial, *, numeric: bool) -> Config:
    if numeric:
        peak = PEAKS[round(trial.suggest_float("peak", 0.0, len(PEAKS) - 1.0))]
        return Config("wsd-linear", COOLDOWNS[round(trial.suggest_float("cooldown", 0.0, len(COOLDOWNS) - 1.0))], peak)
    family = trial.suggest_categorical("family", ["const", "cos0", "cos10", "wsd-linear", "wsd-sqrt"])
    peak = PEAKS[trial.suggest_int("peak", 0, len(PEAKS) - 1)]
    if family == "wsd-linear":
        return Config(family, COOLDOWNS[trial.suggest_int("cooldown", 0, len(COOLDOWNS) - 1)], peak)
    return Config(family, 0.2 if family == "wsd-sqrt" else 0.0, peak)
