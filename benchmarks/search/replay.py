"""Our study and its rivals over a table of recorded runs, many times: a row for each study, method and price."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.lab.files import load_table
from benchmarks.lab.table import RecordedTable
from benchmarks.search.cases import Case, case_of, incumbent_of
from benchmarks.search.ours import ours
from benchmarks.search.parallel import in_parallel
from benchmarks.search.random_stops import random_stops
from benchmarks.search.rivals.rivals import RIVALS
from tuner.schedules import Schedule

OURS = "ours"
BUDGETS = (3.0, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What is replayed."""

    table: str
    """Name or path of the table."""
    incumbent: Schedule | None = None
    """The table's cosine to zero at its middle peak when absent."""
    subset: float = 0.7
    """Share of the candidates that a study may try, a random one for each; the incumbent is always among them."""
    budgets: tuple[float, ...] = BUDGETS
    """In full runs."""
    rivals: tuple[str, ...] = tuple(RIVALS)


def run(replay: Replay, *, studies: int, workers: int) -> list[dict[str, Any]]:
    """All rows, in the order of the studies: equal arguments give equal rows.

    Args:
        replay: What is replayed.
        studies: How many.
        workers: Processes.
    """
    table = load_table(replay.table)
    print(described(table, replay=replay), file=sys.stderr)
    jobs = [(replay, number) for number in range(studies)]
    return [row for rows in in_parallel(_study, jobs, workers=workers) for row in rows]


def described(table: RecordedTable, *, replay: Replay) -> str:
    """The table in one sentence."""
    incumbent = incumbent_of(table, schedule=replay.incumbent)
    case = case_of(table, incumbent=incumbent, subset=replay.subset, number=0)
    seeds = f"{len(case.seeds)} seeds" if len(case.seeds) > 1 else "1 seed: nothing is confirmed"
    return (
        f"{table.name}: {len(table.configurations)} schedules of {table.horizon:,} updates, {seeds}; "
        f"{len(case.candidates)} candidates a study; the incumbent is {incumbent.label}"
    )


def _study(job: tuple[Replay, int]) -> list[dict[str, Any]]:
    replay, number = job
    table = load_table(replay.table)
    incumbent = incumbent_of(table, schedule=replay.incumbent)
    case = case_of(table, incumbent=incumbent, subset=replay.subset, number=number)
    return [{"study": number, **row} for row in _rows(case, replay=replay)]


def _rows(case: Case, *, replay: Replay) -> Iterator[dict[str, Any]]:
    for budget in replay.budgets:
        yield {"method": OURS, "budget": budget, **ours(case, budget=budget)}
    for name in replay.rivals:
        path = RIVALS[name](case, max(replay.budgets))
        for budget in replay.budgets:
            found = path.confirmed(budget)
            row = {"method": name, "budget": budget, "incumbent": case.truth[case.incumbent], "best": case.best}
            if found is not None:
                configuration, cost = found
                row |= {"label": configuration.label, "true": case.truth[configuration], "cost": cost}
            yield row
    yield {"method": "16 random schedules", **random_stops(case)}
