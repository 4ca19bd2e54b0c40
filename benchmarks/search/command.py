"""What `python -m benchmarks search` does with its arguments."""

from __future__ import annotations

import importlib.util
import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.lab.files import load_table, table_names
from benchmarks.search import replay, tables
from benchmarks.search.measures import summary
from benchmarks.search.overview import fill, overview
from benchmarks.search.replay import OURS, Replay
from benchmarks.search.rivals.rivals import RIVALS
from tuner.errors import InvalidValue
from tuner.schedules import Schedule

_PRUNING_STUDIES = 100
_WORTH_STUDIES = 20
_PLAIN_STUDIES = 40
_LIVE_STUDIES = 30
_TRAINING_STUDIES = 20
_OPTION_STUDIES = 6


def run(arguments: Namespace) -> int:
    """Replay a table, search a live workload, or run the parts."""
    try:
        if arguments.table is not None:
            replay_tables(arguments.table, arguments=arguments)
        elif arguments.oracle is not None:
            search_live(arguments)
        else:
            _run_parts(arguments)
    except (InvalidValue, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def replay_tables(names: Sequence[str], *, arguments: Namespace) -> None:
    """Replay one table or more, and show several at a glance; the JSON of several has a key for each."""
    summaries = {name: replay_table(name, arguments=arguments) for name in names}
    if len(summaries) > 1:
        print("\n".join(overview({load_table(name).name: one for name, one in summaries.items()})))
    if arguments.json is not None:
        _write(arguments.json, summaries if len(summaries) > 1 else summaries[names[0]])


def replay_table(name: str, *, arguments: Namespace) -> dict[str, Any]:
    """Replay one table, and print what its studies say."""
    wanted = Replay(
        table=name,
        incumbent=_incumbent(arguments),
        subset=arguments.subset,
        budgets=arguments.budgets or replay.BUDGETS,
        rivals=() if arguments.no_rivals else tuple(RIVALS),
    )
    rows = replay.run(wanted, studies=arguments.studies or 100, workers=arguments.workers)
    table = load_table(name)
    print(f"**{replay.described(table, replay=wanted)}**; {len({row['study'] for row in rows})} studies\n")
    return report(rows, one_seed=len(table.all_seeds) == 1)


def search_live(arguments: Namespace) -> None:
    """Search a live workload; its regret is above the best that any of these studies tried, or the exact optimum."""
    from benchmarks.search import live

    rows = live.run(
        arguments.oracle,
        studies=arguments.studies or _LIVE_STUDIES,
        budgets=arguments.budgets or live.BUDGETS,
        incumbent=_incumbent(arguments),
        workers=arguments.workers,
    )
    print(f"**{arguments.oracle}**, live, default space; {len({row['study'] for row in rows})} studies\n")
    result = report(rows, one_seed=False)
    if arguments.json is not None:
        _write(arguments.json, result)


def _incumbent(arguments: Namespace) -> Schedule | None:
    return None if arguments.incumbent is None else Schedule.from_json(arguments.incumbent.read_text())


def report(rows: Sequence[dict[str, Any]], *, one_seed: bool) -> dict[str, Any]:
    """Print what the rows say; returns that and the rows."""
    result = summary(rows, ours=OURS, one_seed=one_seed)
    print("\n".join(tables.replay_tables(result)) + "\n")
    return {**result, "rows": list(rows)}


def _write(file: Path, result: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1))


def _run_parts(arguments: Namespace) -> None:
    """All parts of `make bench-search`, or the one that is named."""
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    if arguments.part in (None, "replay"):
        _replay_all(arguments, out=out)
    if arguments.part in (None, "sampler"):
        from benchmarks.search import plain

        rows = plain.run(studies=arguments.studies or _PLAIN_STUDIES, workers=arguments.workers)
        (out / "search-sampler.json").write_text(json.dumps(rows, indent=1))
        _show("sampler", plain.plain_tables(rows), arguments=arguments)
    if arguments.part in (None, "pruning"):
        from benchmarks.search import pruning

        lines = pruning.summary(pruning.run(studies=arguments.studies or _PRUNING_STUDIES, workers=arguments.workers))
        (out / "search-pruning.json").write_text(json.dumps(lines, indent=1))
        _show("pruning", tables.pruning_tables(lines), arguments=arguments)
    if arguments.part in (None, "worth"):
        from benchmarks.search.steps import worth

        compared = worth.run_all(studies=arguments.studies or _WORTH_STUDIES, workers=arguments.workers)
        (out / "search-worth.json").write_text(json.dumps(compared, indent=1))
        _show("worth", worth.worth_tables(compared), arguments=arguments)
    if arguments.part in (None, "training"):
        _train(arguments, out=out)
    if arguments.part in (None, "options"):
        from benchmarks.search import with_options

        along = with_options.run(seeds=arguments.studies or _OPTION_STUDIES, workers=arguments.workers)
        (out / "search-options.json").write_text(json.dumps(along, indent=1))
        _show("options", tables.option_tables(along, ours=with_options.OURS), arguments=arguments)


def _replay_all(arguments: Namespace, *, out: Path) -> None:
    """Every table of benchmarks/data that is not of longer runs."""
    from benchmarks.search import plots

    summaries = {}
    for name in table_names():
        if not name.endswith("-lengths"):
            summaries[name] = replay_table(name, arguments=arguments)
            _write(out / f"search-{name}.json", summaries[name])
    plots.replay_plot(summaries, file=out / "search-replay.svg")
    _show("replay", overview(summaries), arguments=arguments)


def _train(arguments: Namespace, *, out: Path) -> None:
    """Real training; every study is written as soon as it is done, and a command that was stopped resumes there."""
    from benchmarks.search import plots, training

    methods = list(training.ALL_METHODS)
    if importlib.util.find_spec("ray") is None:
        print("!!! Ray is not installed: ASHA is LEFT OUT. Its extra: pip install -e '.[ray]'", file=sys.stderr)
        methods.remove("asha")
    rows = training.run(
        seeds=arguments.studies or _TRAINING_STUDIES,
        methods=methods,
        workers=arguments.workers,
        file=out / "search-training.jsonl",
    )
    lines = training.table(rows)
    (out / "search-training.json").write_text(json.dumps(lines, indent=1))
    plots.training_plot(rows, file=out / "search-training.svg")
    _show("training", tables.training_tables(lines), arguments=arguments)


def _show(block: str, lines: Iterable[str], *, arguments: Namespace) -> None:
    """Print figures, and write them into the page that is named."""
    shown = list(lines)
    print("\n".join(shown))
    if arguments.page is not None:
        fill(arguments.page, block=block, lines=shown)
