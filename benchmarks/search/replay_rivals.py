"""The rivals of our search over the recorded runs: the result of each, as full runs are spent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import optuna

from benchmarks.search.table import HORIZON, Config, Table, recorded

REPORTS = 25
"""Evaluations of a full run, evenly spread, the end included."""
_STEPS = tuple(HORIZON * index // REPORTS for index in range(1, REPORTS + 1))
_MOST_TRIALS = 200


@dataclass(kw_only=True)
class Path:
    """The results of a method by cost, and which of the configurations that it asked for were trained to the end."""

    results: list[tuple[float, Config]] = field(default_factory=list)
    """Cost in full runs, and the best configuration known then."""
    asked: list[Config] = field(default_factory=list)
    trained: set[Config] = field(default_factory=set)
    cost: float = 0.0

    def spend(self, config: Config, *, step: int) -> None:
        """A run of this configuration was trained so far, and ended there."""
        self.cost += step / HORIZON
        self.asked.append(config)
        if step == HORIZON:
            self.trained.add(config)
            best = min(self.trained, key=lambda one: recorded().loss(one, HORIZON))
            self.results.append((self.cost, best))

    def best(self, cost: float) -> Config | None:
        """The best configuration known at a cost; ``None`` before the first."""
        known = [config for spent, config in self.results if spent <= cost + 1e-9]
        return known[-1] if known else None

    @property
    def best_asked_trained(self) -> bool:
        """Whether the best of all that was asked for was trained to the end, where anything was."""
        return not self.asked or min(self.asked, key=lambda one: recorded().loss(one, HORIZON)) in self.trained


def random_search(configs: list[Config], *, budget: float, seed: int) -> Path:
    """In a random order, each in full."""
    path = Path()
    for config in Random(seed).sample(configs, len(configs)):
        if path.cost + 1 > budget + 1e-9:
            break
        path.spend(config, step=HORIZON)
    return path


def defaults_at_three_peaks(configs: list[Config], *, budget: float, seed: int) -> Path:
    """Linear (the cooldown of 90 % is the nearest recorded) or cosine to zero, at three of the recorded peaks."""
    rng, path = Random(seed), Path()
    linear = [one for one in configs if one.family == "wsd-linear" and one.cooldown == 0.9]
    cosine = [one for one in configs if one.family == "cos0"]
    known = rng.choice([family for family in (linear, cosine) if family] or [[]])
    for config in rng.sample(known, min(3, len(known))):
        if path.cost + 1 <= budget + 1e-9:
            path.spend(config, step=HORIZON)
    return path


def asha(configs: list[Config], *, budget: float, seed: int) -> Path:
    """ASHA with Ray Tune's defaults (stopping; a quarter continues at 1, 4 and 16 of 25 evaluations), run by run.

    At a milestone a run's loss is recorded; the run is stopped when it is worse than the best quarter of what was
    recorded there, its own included (Ray: ``numpy.nanpercentile``).
    """
    import numpy as np

    table, path = recorded(), Path()
    passed: defaultdict[int, list[float]] = defaultdict(list)
    for config in Random(seed).sample(configs, len(configs)):
        if path.cost >= budget:
            break
        end = HORIZON
        for rung in (1, 4, 16):
            losses = passed[rung]
            losses.append(table.passing(config, _STEPS[rung - 1]))
            if len(losses) > 1 and losses[-1] > np.nanpercentile(losses, 25):
                end = _STEPS[rung - 1]
                break
        path.spend(config, step=end)
    return path


def optuna_search(pruner: Callable[[], optuna.pruners.BasePruner]) -> Callable[..., Path]:
    """Optuna's TPE with a pruner on the raw loss. A configuration that it asks for again costs nothing."""

    def search(configs: list[Config], *, budget: float, seed: int) -> Path:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner())
        table, path = recorded(), Path()
        known = set(configs)
        ends: dict[Config, int] = {}
        for _ in range(_MOST_TRIALS):
            if path.cost >= budget or len(ends) == len(known):
                break
            trial = study.ask()
            config = _suggested(trial)
            if config not in known:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            end = _report(trial, config, table=table)
            loss = table.passing(config, end)
            state = optuna.trial.TrialState.COMPLETE if end == HORIZON else optuna.trial.TrialState.PRUNED
            study.tell(trial, loss if end == HORIZON else None, state=state)
            if end > ends.get(config, 0):
                path.spend(config, step=end)
                path.cost -= ends.get(config, 0) / HORIZON
                ends[config] = end
        return path

    return search


def _report(trial: optuna.Trial, config: Config, *, table: Table) -> int:
    """Report the losses; returns the update at which the pruner ended the run, otherwise the horizon."""
    if isinstance(trial.study.pruner, optuna.pruners.NopPruner):
        return HORIZON
    for index, step in enumerate(_STEPS, start=1):
        trial.report(table.passing(config, step), index)
        if step < HORIZON and trial.should_prune():
            return step
    return HORIZON


def _suggested(trial: optuna.Trial) -> Config:
    family = trial.suggest_categorical("family", ["const", "cos0", "cos10", "wsd-linear", "wsd-sqrt"])
    peak = trial.suggest_categorical("peak_lr", [1e-4, 5e-4, 1e-3, 2e-3])
    cooldown = 0.0
    if family == "wsd-linear":
        cooldown = trial.suggest_categorical("cooldown", [0.1, 0.2, 0.4, 0.6, 0.8, 0.9])
    elif family == "wsd-sqrt":
        cooldown = 0.2
    return Config(family, cooldown, peak)


RIVALS: dict[str, Callable[..., Path]] = {
    "random": random_search,
    "default, 3 peaks": defaults_at_three_peaks,
    "TPE": optuna_search(optuna.pruners.NopPruner),
    "TPE, median": optuna_search(optuna.pruners.MedianPruner),
    "TPE, percentile 75": optuna_search(lambda: optuna.pruners.PercentilePruner(75.0)),
    "TPE, halving": optuna_search(optuna.pruners.SuccessiveHalvingPruner),
    "TPE, Hyperband": optuna_search(
        lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=REPORTS, reduction_factor=3)
    ),
    "ASHA": asha,
}


def paths(configs: list[Config], *, budget: float, seed: int) -> Iterator[tuple[str, Path]]:
    """The path of every rival with one seed."""
    for name, rival in RIVALS.items():
        yield name, rival(configs, budget=budget, seed=seed)
