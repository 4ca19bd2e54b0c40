"""Run every benchmark, or those that are named: `python -m benchmarks [name ...] [options of the named ones]`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

LIBRARIES = ("lab",)
"""Packages beside the benchmarks that they use."""


def main() -> int:
    """Run the benchmarks one after the other; fail when one fails."""
    names = sorted(
        module.name
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
        if module.name[0] != "_" and module.name not in LIBRARIES
    )
    options = next((place for place, word in enumerate(sys.argv) if word.startswith("-")), len(sys.argv))
    wanted = sys.argv[1:options] or names
    if unknown := set(wanted) - set(names):
        print(f"there is no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    return max(importlib.import_module(f"benchmarks.{name}").main(sys.argv[options:]) for name in wanted)


if __name__ == "__main__":
    sys.exit(main())
