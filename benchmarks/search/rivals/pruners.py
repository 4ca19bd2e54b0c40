"""ASHA, and Optuna's TPE with its pruners, on recorded runs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import optuna

from benchmarks.search.cases import EVALUATIONS, Case
from benchmarks.search.rivals.path import Path
from tuner.search.configuration import Configuration
from tuner.search.space import Value

_ASKS = 100
"""Most configurations that Optuna is asked for: it repeats itself once a small table is exhausted."""
_RUNGS = (1, 4, 16)


def asha(case: Case, budget: float) -> Path:
    """ASHA with Ray Tune's defaults (stopping; a quarter continues at 1, 4 and 16 evaluations), run by run.

    At a milestone a run's loss is recorded; the run is stopped when it is worse than the best quarter of what was
    recorded there, its own included (Ray: ``numpy.nanpercentile``).
    """
    path = Path(case=case)
    passed: defaultdict[int, list[float]] = defaultdict(list)
    for one in Random(f"asha of study {case.number}").sample(case.candidates, len(case.candidates)):
        if path.cost >= budget:
            break
        points = path.points(one)
        rung = next((rung for rung in _RUNGS if rung < len(points) and _is_stopped(points, passed, rung=rung)), None)
        path.record(one, points=points[:rung], stopped=rung is not None)
    return path


def _is_stopped(points: Sequence[tuple[int, float]], passed: dict[int, list[float]], *, rung: int) -> bool:
    losses = passed[rung]
    losses.append(min(points[rung - 1][1], 1e9))
    return len(losses) > 1 and losses[-1] > float(np.nanpercentile(losses, 25))


def optuna_search(pruner: Callable[[], optuna.pruners.BasePruner]) -> Callable[[Case, float], Path]:
    """Optuna's TPE with a pruner on the raw loss.

    A suggestion stands for the nearest candidate of its family that was not tried; once all of them were, for the
    nearest one, whose result is known at no cost.
    """

    def search(case: Case, budget: float) -> Path:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=case.number)
        # Hyperband hashes the name of the study.
        study = optuna.create_study(study_name=f"study {case.number}", sampler=sampler, pruner=pruner())
        path, grid = Path(case=case), _Grid(case.candidates, total_steps=case.horizon)
        for _ in range(_ASKS):
            if path.cost >= budget or len(path.asked) == len(case.candidates):
                break
            trial = study.ask()
            one = grid.suggested(trial, tried=path.asked)
            points = path.points(one)
            end = _pruned_at(trial, points)
            loss = points[end - 1][1]
            whole = end == len(points) and math.isfinite(loss)
            study.tell(trial, loss if whole else None, state=None if whole else optuna.trial.TrialState.PRUNED)
            if one not in path.asked:
                path.record(one, points=points[:end], stopped=not whole)
        return path

    return search


def _pruned_at(trial: optuna.Trial, points: Sequence[tuple[int, float]]) -> int:
    """Report the losses; returns how many points the pruner let the run have."""
    if isinstance(trial.study.pruner, optuna.pruners.NopPruner):
        return len(points)
    for count, (_, loss) in enumerate(points, start=1):
        if not math.isfinite(loss):
            return count
        trial.report(loss, count)
        if count < len(points) and trial.should_prune():
            return count
    return len(points)


class _Grid:
    """The candidates as a space of Optuna: the family, and where more than one value was recorded, each of its fields.

    Numbers are suggested by their rank, so that TPE knows their order.
    """

    def __init__(self, candidates: Sequence[Configuration], *, total_steps: int) -> None:
        self._values = {one: _fields(one, total_steps=total_steps) for one in candidates}
        self._families = sorted({one.schedule.family.name for one in candidates})
        self._axes: dict[str, dict[str, list[Value]]] = {family: {} for family in self._families}
        for one, fields in self._values.items():
            axes = self._axes[one.schedule.family.name]
            for name, value in fields.items():
                axes.setdefault(name, [])
                if value not in axes[name]:
                    axes[name].append(value)
        for axes in self._axes.values():
            for values in axes.values():
                values.sort(key=lambda value: (isinstance(value, str), value))

    def suggested(self, trial: optuna.Trial, *, tried: Sequence[Configuration]) -> Configuration:
        """The candidate that Optuna's suggestion stands for."""
        family = trial.suggest_categorical("family", self._families)
        wanted: dict[str, int] = {}
        for name, values in self._axes[family].items():
            if len(values) > 1:
                suggestion = f"{family}.{name}"
                if isinstance(values[0], str | bool):
                    labels = [str(value) for value in values]
                    wanted[name] = labels.index(str(trial.suggest_categorical(suggestion, labels)))
                else:
                    wanted[name] = trial.suggest_int(suggestion, 0, len(values) - 1)
        own = [one for one in self._values if one.schedule.family.name == family]
        new = [one for one in own if one not in tried]
        return min(new or own, key=lambda one: self._distance(one, family=family, wanted=wanted))

    def _distance(self, one: Configuration, *, family: str, wanted: dict[str, int]) -> float:
        axes, fields = self._axes[family], self._values[one]
        return sum(abs(axes[name].index(fields[name]) - rank) / (len(axes[name]) - 1) for name, rank in wanted.items())


def _fields(one: Configuration, *, total_steps: int) -> dict[str, Value]:
    schedule = one.schedule
    family = {name: getattr(schedule.family, name) for name in type(schedule.family).model_fields if name != "name"}
    family = {
        name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in family.items()
    }
    return {
        "peak_lr": schedule.peak_lr,
        "warmup": schedule.warmup.length(total_steps),
        "floor": schedule.floor,
        **family,
        **{f"option {name}": value for name, value in one.options},
    }


def hyperband() -> optuna.pruners.BasePruner:
    """Of the lengths that a run can be pruned at."""
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EVALUATIONS, reduction_factor=3)
