"""Where runs keep their snapshots on this machine's disk, and when these go away."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)


class SnapshotFolders:
    """One folder per run, with one per attempt in it: ``<root>/<run id>/<attempt>``.

    Attempts do not share a folder, so a runner that outlived its lease cannot spoil what its successor reads.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, run_id: str, *, attempt: int) -> Path:
        """The folder of one attempt; made by whoever writes there first."""
        return self._root.resolve() / run_id / str(attempt)

    def discard(self, run_id: str) -> None:
        """Delete everything that a run left, after it is over. What cannot be deleted now is left to a later sweep."""
        shutil.rmtree(self._root / run_id, ignore_errors=True)

    def sweep(self, is_terminal: Callable[[str], bool]) -> None:
        """Delete what is left of runs that ended elsewhere: cancelled, out of attempts, finished by another worker."""
        if not self._root.is_dir():
            return
        for folder in self._root.iterdir():
            if is_terminal(folder.name):
                _log.info("snapshots.swept", run_id=folder.name)
                self.discard(folder.name)
