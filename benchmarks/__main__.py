"""Run every benchmark, or those that are named: `python -m benchmarks [name ...]`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path


def main() -> int:
    """Run the benchmarks one after the other; fail when one fails."""
    names = sorted(
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name[0] != "_"
    )
    wanted = sys.argv[1:] or names
    if unknown := set(wanted) - set(names):
        print(f"there is no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    return max(importlib.import_module(f"benchmarks.{name}").main([]) for name in wanted)


if __name__ == "__main__":
    sys.exit(main())
