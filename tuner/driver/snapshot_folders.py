"""Where runs keep their snapshots on this machine's disk, and when these go away."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tuner.jobs.records import SnapshotRef
from tuner.logs import event_logger

_log = event_logger(__name__)


class SnapshotFolders:
    """One folder per run, with one per attempt in it: ``<root>/<run id>/<attempt>``.

    Attempts do not share a folder, so a runner that outlived its lease cannot overwrite what the next attempt reads.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, run_id: str, *, attempt: int) -> Path:
        """The folder of one attempt; made by its first writer, in a folder that no other user enters."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._root.resolve() / run_id / str(attempt)

    def discard_earlier(self, run_id: str, *, latest: SnapshotRef | None) -> None:
        """Delete the folders of a run's attempts but that of its latest snapshot: a run may have had any number.

        Without a snapshot nothing is deleted: the last folder may hold checkpoints of code that owns its loop. Nor is
        it where the snapshot is elsewhere, as it is when machines reach a shared disk by several paths.
        """
        folder = self._root.resolve() / run_id
        if latest is None or Path(latest.path).parent.parent != folder:
            return
        for attempt in folder.glob("*"):
            if attempt != Path(latest.path).parent:
                shutil.rmtree(attempt, ignore_errors=True)

    def discard(self, run_id: str) -> None:
        """Delete the folders of a run that is over. What cannot be deleted now is left to a later sweep."""
        shutil.rmtree(self._root / run_id, ignore_errors=True)

    def sweep(self, is_terminal: Callable[[str], bool]) -> None:
        """Delete the folders of runs that ended elsewhere: cancelled, out of attempts, finished by another worker."""
        if not self._root.is_dir():
            return
        for folder in self._root.iterdir():
            if is_terminal(folder.name):
                _log.info("snapshots.swept", run_id=folder.name)
                self.discard(folder.name)
