"""Our search and its rivals: on recorded runs, and on real training. Cost is counted in updates.

    make bench-search
    python -m benchmarks search

On real training every study is written to benchmarks/out as soon as it is done: a command that was stopped resumes
there. ASHA needs Ray (extra ``ray``).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path

OUT = Path("benchmarks/out")


def main(arguments: list[str] | None = None) -> int:
    """Run the parts; print the tables, write JSON and plots."""
    from benchmarks.search import plots, replay, rungs, samplers, tables, training, with_options

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("replay", "samplers", "rungs", "training", "options", "all"), default="all")
    parser.add_argument("--replay-seeds", type=int, default=1000)
    parser.add_argument("--sampler-seeds", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20, help="of real training")
    parser.add_argument("--option-seeds", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.part in ("replay", "all"):
        result = replay.run(seeds=args.replay_seeds, workers=args.workers)
        (args.out / "search-replay.json").write_text(json.dumps(result, indent=1))
        plots.replay_plot(result, file=args.out / "search-replay.svg")
        print("\n".join(tables.replay_tables(result)))
    if args.part in ("samplers", "all"):
        compared = samplers.run(seeds=args.sampler_seeds, workers=args.workers)
        (args.out / "search-samplers.json").write_text(json.dumps(compared, indent=1))
        print("\n".join(tables.sampler_tables(compared)))
    if args.part in ("rungs", "all"):
        ranks = rungs.run(workers=args.workers)
        (args.out / "search-rungs.json").write_text(json.dumps(ranks, indent=1))
        print("\n".join(tables.rung_tables(ranks)))
    if args.part in ("training", "all"):
        methods = list(training.ALL_METHODS)
        if importlib.util.find_spec("ray") is None:
            print(
                "!!! Ray is not installed: ASHA is LEFT OUT. Its extra: pip install -e '.[ray]'",
                file=sys.stderr,
            )
            methods.remove("asha")
        rows = training.run(
            seeds=args.seeds, methods=methods, workers=args.workers, file=args.out / "search-training.jsonl"
        )
        lines, quarter = training.table(rows), training.quarter(rows)
        (args.out / "search-training.json").write_text(json.dumps({"equal": lines, "quarter": quarter}, indent=1))
        plots.training_plot(rows, file=args.out / "search-training.svg")
        print("\n".join(tables.training_tables(lines, quarter=quarter)))
    if args.part in ("options", "all"):
        along = with_options.run(seeds=args.option_seeds, workers=args.workers)
        (args.out / "search-options.json").write_text(json.dumps(along, indent=1))
        print("\n".join(tables.option_tables(along)))
    return 0
