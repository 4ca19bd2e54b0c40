"""Makes the tables of the laboratory (benchmarks/data/README.md), every schedule with every seed, in stacks of models.

    python -m benchmarks tables [--only NAME ...] [--out benchmarks/data]
    python -m benchmarks tables --facts

A table that exists is not made again; delete its file for that. A command that was stopped resumes after the last
stack: finished runs of unfinished tables are in benchmarks/out/tables. `power-law-optima` is no table: it is the best
rates of the workload whose losses are known exactly.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from benchmarks.lab.designs import designs
from benchmarks.lab.facts import facts_table
from benchmarks.lab.making import make_table
from benchmarks.lab.power_law import OPTIMA, write_optima

OUT = Path("benchmarks/data")
UNFINISHED = Path("benchmarks/out/tables")


def main(arguments: list[str] | None = None) -> int:
    """Make the tables that are missing."""
    known = designs()
    names = [*known, OPTIMA.stem]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the finished tables")
    parser.add_argument("--facts", action="store_true", help="only print what the committed tables say")
    args = parser.parse_args(arguments)
    if args.facts:
        print("\n".join(facts_table()))
        return 0
    torch.set_num_threads(1)  # products of small matrices: a second thread waits more than it computes
    for folder in (args.out, UNFINISHED):
        folder.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        path = args.out / (f"{name}.jsonl.gz" if name in known else OPTIMA.name)
        if path.exists():
            print(f"{name}: exists")
            continue
        start = time.monotonic()
        if name in known:
            make_table(known[name], path=path, unfinished=UNFINISHED / f"{name}.jsonl")
        else:
            write_optima(path)
        print(f"{name}: {time.monotonic() - start:.0f} s, {path.stat().st_size:,} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
