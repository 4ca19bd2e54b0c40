"""What stopping runs early saves, and what it loses: our forecast and its rivals over the same runs.

Two kinds of studies on each table: schedules by chance, and the runs that a study of the product asks for when nothing
is stopped. The runs are trained one after the other; the leader is the least loss among the complete ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from random import Random
from typing import Any

from benchmarks.lab.files import load_table, table_names
from benchmarks.lab.split import CLAIMED_ON, TUNED_ON
from benchmarks.search.cases import Case, case_of, incumbent_of
from benchmarks.search.parallel import in_parallel
from benchmarks.search.pruners import PRUNERS, Check, Pruner
from tuner.search.oracle import outcome
from tuner.search.pruning.forecast import Curve
from tuner.search.simulate import simulate

SCHEDULES = 16
BUDGET = 12.0
"""Of a study, in full runs."""
_LEAST_COMPLETE = 3
"""No method stops a run before so many are complete."""
RANDOM = f"{SCHEDULES} random schedules"
OWN = "a study's own runs"
Row = dict[str, Any]


def run(*, studies: int, workers: int) -> list[Row]:
    """So many studies of each kind on every table: a row for each study, kind and method."""
    tables = [name for name in (*TUNED_ON, *CLAIMED_ON) if name in table_names()]
    jobs = [(name, number) for name in tables for number in range(studies)]
    return [row for rows in in_parallel(_study, jobs, workers=workers) for row in rows]


def _study(job: tuple[str, int]) -> list[Row]:
    name, number = job
    table = load_table(name)
    case = case_of(table, incumbent=incumbent_of(table), subset=0.7, number=number)
    kinds = {RANDOM: _random_runs(case), OWN: _own_runs(case)}
    return [
        {"table": name, "study": number, "runs_of": kind, "method": method, **replayed(runs, pruner=pruner)}
        for kind, runs in kinds.items()
        for method, pruner in PRUNERS.items()
    ]


def _random_runs(case: Case) -> list[Curve]:
    candidates = Random(f"random runs of study {case.number}").sample(
        case.candidates, min(SCHEDULES, len(case.candidates))
    )
    runs = []
    for configuration in candidates:
        result = outcome(lambda one, steps, seed: case.run(one), configuration, steps=case.horizon, seed=0)
        runs.append(Curve(configuration=configuration, seed=0, total_steps=case.horizon, points=result.points))
    return runs


def _own_runs(case: Case) -> list[Curve]:
    settings = case.settings(budget=BUDGET).model_copy(update={"prune": False})
    usual = case.incumbent.options
    simulation = simulate(settings, oracle=case.oracle, pool=case.candidates, usual_options=usual)
    return [run.curve for run in simulation.runs]


def replayed(runs: Sequence[Curve], *, pruner: type[Pruner]) -> Row:
    """Train the runs one after the other, and stop those that the pruner stops.

    Args:
        runs: Their whole curves; one that does not reach its end diverged, and no method is asked about it.
        pruner: The method.

    Returns:
        Full runs that stopping saved; the runs that it stopped, and those of them that would have ended below all
        complete ones (false prunes); whether it stopped the best of all; how many 95 % intervals cover the end.
    """
    complete: list[Curve] = []
    stopped: list[Curve] = []
    checks: list[Check] = []
    saved = 0.0
    for one in runs:
        step = None
        if one.is_complete and len(complete) >= _LEAST_COMPLETE:
            leader = min(map(_end, complete))
            found = pruner(complete, total_steps=one.total_steps).checks(one, leader=leader)
            checks += found.values()
            step = next((step for step, check in found.items() if check.stop), None)
        if step is not None:
            stopped.append(one)
            saved += 1.0 - step / one.total_steps
        elif one.is_complete:
            complete.append(one)
    ended = [*complete, *stopped]
    covers = [check.covers for check in checks if check.covers is not None]
    return {
        "runs": len(runs),
        "full_runs": sum(one.points[-1][0] / one.total_steps if one.points else 0.0 for one in runs),
        "saved": saved,
        "stopped": len(stopped),
        "false": sum(_end(one) < min(map(_end, complete)) for one in stopped),
        "best_stopped": bool(ended) and min(ended, key=_end) in stopped,
        "intervals": len(covers),
        "covered": sum(covers),
    }


def _end(run: Curve) -> float:
    return run.points[-1][1]


def summary(rows: Sequence[Row]) -> list[Row]:
    """One line for each kind of runs, method and table, and one for all tables of each side of the split."""
    lines = []
    for side, names in (("tuned on", TUNED_ON), ("claimed on", CLAIMED_ON)):
        own = [row for row in rows if row["table"] in names]
        for table in (*(name for name in names if any(row["table"] == name for row in own)), None):
            chosen = [row for row in own if table in (None, row["table"])]
            ordered = sorted(chosen, key=lambda row: (row["runs_of"], list(PRUNERS).index(row["method"])))
            for (kind, method), group in groupby(ordered, key=lambda row: (row["runs_of"], row["method"])):
                name = table or f"all that it was {side}"
                lines.append({"runs_of": kind, "table": name, "method": method, **_line(list(group))})
    return sorted(lines, key=lambda line: str(line["runs_of"]))


def _line(rows: Sequence[Row]) -> Row:
    total = {name: sum(row[name] for row in rows) for name in ("full_runs", "saved", "runs", "stopped", "false")}
    intervals = sum(row["intervals"] for row in rows)
    return {
        "studies": len(rows),
        "saved": total["saved"] / max(total["full_runs"], 1e-9),
        "stopped": total["stopped"] / max(total["runs"], 1),
        "false_of_runs": total["false"] / max(total["runs"], 1),
        "false_of_stopped": total["false"] / max(total["stopped"], 1),
        "best_stopped": sum(row["best_stopped"] for row in rows) / len(rows),
        "coverage": sum(row["covered"] for row in rows) / intervals if intervals else None,
    }
