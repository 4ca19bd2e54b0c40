"""Starts one of our own processes: ``python -P -m tuner.cli.stack.run_module worker ...``.

``python -m worker`` would take any package of that name which comes first on the path, and projects with a ``worker``
or a ``service`` of their own often name their folder in ``PYTHONPATH``. Here our packages are those beside `tuner`.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_OURS = frozenset({"tuner_service", "tuner_worker", "tuner_migrations"})
_HOME = str(Path(__file__).resolve().parents[2])


class _OursFirst(MetaPathFinder):
    """Finds our packages where `tuner` is installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [_HOME], target) if name in _OURS else None


if __name__ == "__main__":
    sys.meta_path.insert(0, _OursFirst())
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
