"""Our search and its rivals: on tables of recorded runs, on live workloads, and on real training.

    make bench-search
    python -m benchmarks search --table FILE ... [--incumbent FILE] [--subset .7] [--studies 100] [--budgets 3,5,10]
    python -m benchmarks search --oracle NAME [--studies 30] [--budgets 10]
    python -m benchmarks search --part replay|sampler|pruning|worth|training|options

A table is a file of JSON lines (benchmarks/data/README.md). Every method pays for its confirmation; cost is counted in
updates. Equal arguments give equal numbers, with any number of processes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

OUT = Path("benchmarks/out")


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; print the tables, write JSON."""
    from benchmarks.search.command import run

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--table", nargs="+", metavar="FILE", help="replay these tables, by their files or names in benchmarks/data"
    )
    parser.add_argument(
        "--oracle", metavar="NAME", help="search a live workload of the laboratory: noisy-classification-a"
    )
    parser.add_argument(
        "--part",
        choices=("replay", "sampler", "pruning", "worth", "training", "options"),
        help="of `make bench-search`",
    )
    parser.add_argument(
        "--incumbent", type=Path, metavar="FILE", help="a schedule (of the table), as JSON; a cosine to zero by default"
    )
    parser.add_argument("--subset", type=_share, default=0.7, help="share of the schedules that a study may try")
    parser.add_argument("--studies", type=_whole, help="how many (100 on a table, 30 on a live workload)")
    parser.add_argument("--budgets", type=_budgets, help="in full runs: 3,5,10")
    parser.add_argument("--no-rivals", action="store_true", help="replay ours alone")
    parser.add_argument("--workers", type=_whole, default=2, help="processes")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the summary and every study's row")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the results of the parts")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="write the figures of the parts into docs/benchmarks.md"
    )
    return run(parser.parse_args(arguments))


def _share(text: str) -> float:
    if not 0.0 < (value := float(text)) <= 1.0:
        raise argparse.ArgumentTypeError(f"must be in (0, 1], got {text}")
    return value


def _whole(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def _budgets(text: str) -> tuple[float, ...]:
    values = tuple(float(one) for one in text.split(","))
    if any(not value >= 1.0 for value in values):
        raise argparse.ArgumentTypeError(f"must each be at least 1, got {text}")
    return values
