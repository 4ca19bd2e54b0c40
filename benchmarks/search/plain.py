"""A plain Optuna study on a table of recorded runs: our sampler, TPE and random search, at equal steps.

Every trial trains a whole run on the study's first seed, as people's own studies do; nothing is pruned or confirmed.
All methods search the same space with the same objective: a suggestion stands for the nearest schedule of the table
that the study has not trained. The study then gets a finished trial with that schedule's own parameters, so that every
sampler learns of what was trained, not of what it suggested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmarks.lab.files import load_table, table_names
from benchmarks.lab.split import CLAIMED_ON, TUNED_ON
from benchmarks.search.cases import Case, case_of, incumbent_of, space_of
from benchmarks.search.parallel import in_parallel
from benchmarks.search.tables import markdown
from tuner.optuna import ScheduleSampler, suggest_schedule
from tuner.search.configuration import Configuration
from tuner.search.optuna.distributions import distribution_of
from tuner.search.space import Choice, Parameter, SearchSpace, Value

TRIALS: Final = (3, 5, 10, 15)
"""Trials after which the best one of a study counts."""
OURS: Final = "ScheduleSampler"
TPE: Final = "TPE"
SAMPLERS: Final[dict[str, Callable[[Case, SearchSpace], BaseSampler]]] = {
    OURS: lambda case, space: ScheduleSampler(
        space, total_steps=case.horizon, incumbent=case.incumbent.schedule, seed=case.number
    ),
    TPE: lambda case, space: TPESampler(seed=case.number),
    "TPE, from 5 trials": lambda case, space: TPESampler(seed=case.number, n_startup_trials=5),
    "random": lambda case, space: RandomSampler(seed=case.number),
}
MEASURES: Final = {
    "found": "regret on the study's own seed of the best trial",
    "true": "true regret of the best trial",
    "recommended": "true regret of the recommended trial, of the others the best",
}


def run(*, studies: int, workers: int, tables: Sequence[str] = ()) -> list[dict[str, Any]]:
    """All rows: what each study has after so many trials."""
    names = tables or [name for name in table_names() if name in (*TUNED_ON, *CLAIMED_ON) and _is_inside(name)]
    jobs = [(name, method, number) for name in names for method in SAMPLERS for number in range(studies)]
    return [row for rows in in_parallel(_study, jobs, workers=workers) for row in rows]


def plain_tables(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The means of each measure in thousandths, and how often ours is better than TPE, study by study."""
    prices = " / ".join(map(str, TRIALS))
    for side, names in (("claimed on", CLAIMED_ON), ("tuned on", TUNED_ON)):
        own = [name for name in dict.fromkeys(row["table"] for row in rows) if name in names]
        for measure, meaning in MEASURES.items() if own else ():
            yield f"**{side}**, {meaning}; after {prices} trials:"
            yield ""
            body = [[method, *(_cell(rows, name, method, measure=measure) for name in own)] for method in SAMPLERS]
            wins = ["studies won less lost to TPE", *(_wins(rows, name, measure=measure) for name in own)]
            yield from markdown(["method", *own], [*body, wins])
            yield ""


def _is_inside(name: str) -> bool:
    """Whether every schedule of the table is a point of the space that it spans."""
    recorded = load_table(name)
    space = space_of(recorded.configurations, total_steps=recorded.horizon)
    return all(space.values_of(one.schedule) is not None for one in recorded.configurations)


def _cell(rows: Sequence[dict[str, Any]], name: str, method: str, *, measure: str) -> str:
    by_price = [_column(rows, name, method, trials=trials, measure=measure) for trials in TRIALS]
    last = by_price[-1]
    means = " / ".join(f"{1e3 * np.mean(one):.3g}" for one in by_price)
    return f"{means} (+- {1e3 * np.std(last) / math.sqrt(len(last)):.2g})"


def _wins(rows: Sequence[dict[str, Any]], name: str, *, measure: str) -> str:
    cells = []
    for trials in TRIALS:
        ours, tpe = (_column(rows, name, method, trials=trials, measure=measure) for method in (OURS, TPE))
        cells.append(f"{int(np.sign(tpe - ours).sum()):+d}")
    return f"{' / '.join(cells)} of {len(ours)}"


def _column(
    rows: Sequence[dict[str, Any]], name: str, method: str, *, trials: int, measure: str
) -> NDArray[np.float64]:
    wanted = (name, method, trials)
    return np.array([row[measure] for row in rows if (row["table"], row["method"], row["trials"]) == wanted])


def _study(job: tuple[str, str, int]) -> list[dict[str, Any]]:
    name, method, number = job
    recorded = load_table(name)
    case = case_of(recorded, incumbent=incumbent_of(recorded), subset=0.7, number=number)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    losses = {one: math.inf if (loss := case.run(one)[1]) is None else loss for one in case.candidates}
    worst = max(loss for loss in losses.values() if math.isfinite(loss))
    rows = []
    for trials, study in _grown(case, sampler=SAMPLERS[method], losses=losses):
        best = _schedule_of(study.best_trial, case=case)
        sampler = study.sampler
        found = sampler.recommended(study) if isinstance(sampler, ScheduleSampler) else study.best_trial
        rows.append(
            {
                "table": recorded.name,
                "method": method,
                "study": number,
                "trials": trials,
                "found": min(losses[best], worst) - min(losses.values()),
                "true": case.regret(best),
                "recommended": case.regret(_schedule_of(found, case=case)),
            }
        )
    return rows


def _schedule_of(trial: FrozenTrial, *, case: Case) -> Configuration:
    return next(one for one in case.candidates if one.schedule.to_json() == trial.user_attrs["schedule"])


def _grown(
    case: Case, *, sampler: Callable[[Case, SearchSpace], BaseSampler], losses: Mapping[Configuration, float]
) -> Iterator[tuple[int, optuna.Study]]:
    """The study after each number of trials of `TRIALS`; of a small table, with all of its schedules."""
    space = space_of(case.table.configurations, total_steps=case.horizon)
    study = optuna.create_study(study_name=f"study {case.number}", sampler=sampler(case, space))
    left = {one: space.values_of(one.schedule) or {} for one in case.candidates}
    for count in range(1, max(TRIALS) + 1):
        if left:
            asked = study.ask()
            suggest_schedule(asked, space)
            wanted = asked.params
            one = min(left, key=lambda one: _distance(left[one], wanted, space=space))
            study.tell(asked, state=TrialState.FAIL)
            study.add_trial(_finished(one, values=left.pop(one), loss=losses[one], space=space))
        if count in TRIALS:
            yield count, study


def _finished(one: Configuration, *, values: Mapping[str, Value], loss: float, space: SearchSpace) -> FrozenTrial:
    """The trial of a schedule of the table; one that diverged is worse than all that did not."""
    parameters = {"family": Choice(values=space.keys)}
    parameters |= space.parameters(str(values["family"]))
    return create_trial(
        params=dict(values),
        distributions={name: distribution_of(parameter) for name, parameter in parameters.items()},
        user_attrs={"schedule": one.schedule.to_json()},
        value=loss,
    )


def _distance(values: Mapping[str, Value], wanted: Mapping[str, Any], *, space: SearchSpace) -> float:
    """How far a schedule is from what was suggested; one of another family is farther than any of the same."""
    if values["family"] != wanted["family"]:
        return math.inf
    return sum(
        _gap(values[name], wanted[name], parameter=parameter)
        for name, parameter in space.parameters(str(values["family"])).items()
    )


def _gap(one: Any, other: Any, *, parameter: Parameter) -> float:
    """In [0, 1]: by rank among choices with an order, by position in a range."""
    if isinstance(parameter, Choice):
        if isinstance(one, str):
            return float(one != other)
        return abs(parameter.values.index(one) - parameter.values.index(other)) / max(1, len(parameter.values) - 1)
    if parameter.low == parameter.high:
        return 0.0
    scale = math.log if parameter.log else float
    return abs(scale(one) - scale(other)) / (scale(parameter.high) - scale(parameter.low))
