"""What hostile clients do to a service: its memory, and how long a well-behaved caller waits beside them.

    python -m benchmarks load [--seconds N] [--attack NAME ...]

The service runs as its own process on loopback, over SQLite, with a login and its default limits. The attackers run in
another process, from the same address as the well-behaved caller, who asks for a job 20 times a second.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.load.attacks import ATTACKS
from benchmarks.load.measure import measure


def main(arguments: list[str] | None = None) -> int:
    """Attack a service, print a table, and store the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each attack")
    parser.add_argument("--attack", action="append", choices=ATTACKS, help="only this one; repeatable")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/load.json"))
    args = parser.parse_args(arguments)
    results = measure(args.attack or list(ATTACKS), seconds=args.seconds)
    print(
        f"{'attack':<24}{'requests':>9}{'failed':>8}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}{'peak MiB':>10}{'files':>7}"
    )
    for each in results:
        print(
            f"{each.attack:<16}{each.requests:>9}{each.failed:>9}{each.p50_ms:>9.1f}{each.p99_ms:>9.1f}"
            f"{each.max_ms:>9.1f}{each.peak_mib:>9.0f}{each.files:>9}  {each.responses}"
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps([vars(each) for each in results], indent=1))
    return 0
