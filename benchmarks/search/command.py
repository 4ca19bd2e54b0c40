"""What `python -m benchmarks search` does with its arguments."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.lab.files import load_table
from benchmarks.search import replay
from benchmarks.search.measures import summary
from benchmarks.search.replay import OURS, Replay
from benchmarks.search.rivals.rivals import RIVALS
from benchmarks.search.tables import replay_tables
from tuner.errors import InvalidValue
from tuner.schedules import Schedule


def run(arguments: Namespace) -> int:
    """Replay a table, search a live workload, or run the parts."""
    try:
        if arguments.table is not None:
            replay_table(arguments)
    except (InvalidValue, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def replay_table(arguments: Namespace) -> None:
    """One table."""
    incumbent = None if arguments.incumbent is None else Schedule.from_json(arguments.incumbent.read_text())
    wanted = Replay(
        table=arguments.table,
        incumbent=incumbent,
        subset=arguments.subset,
        budgets=arguments.budgets or replay.BUDGETS,
        rivals=() if arguments.no_rivals else tuple(RIVALS),
    )
    started = time.monotonic()
    rows = replay.run(wanted, studies=arguments.studies or 100, workers=arguments.workers)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    table = load_table(wanted.table)
    one_seed = len(table.all_seeds) == 1
    print(f"**{replay.described(table, replay=wanted)}**, {len({row['study'] for row in rows})} studies\n")
    report(rows, one_seed=one_seed, file=arguments.json)


def report(rows: Sequence[dict[str, Any]], *, one_seed: bool, file: Path | None) -> None:
    """Print what the rows say, and write them."""
    result = summary(rows, ours=OURS)
    print("\n".join(replay_tables(result, one_seed=one_seed)))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**result, "rows": list(rows)}, indent=1))
