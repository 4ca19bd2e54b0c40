"""What a driver reports about itself: a worker turns it into metrics."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from tuner.jobs.records import LeasedRun


class Observer:
    """Observes a driver. This one does nothing."""

    def claimed(self, seconds: float, *, found: str) -> None:
        """A claim took so long, and found a ``run``, a ``plan`` or ``nothing``."""

    def training(self, lease: LeasedRun) -> AbstractContextManager[None]:
        """A context in which a run is trained."""
        return nullcontext()

    def updated(self, updates: int, *, workload: str) -> None:
        """So many updates were executed."""

    def run_left(self, outcome: str) -> None:
        """A run has left this driver: succeeded, diverged, stopped, failed, died, returned or lost."""
