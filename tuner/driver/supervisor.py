"""Supervises one run while a runner trains it: stores what it reports, keeps its lease, enforces its limits."""

from __future__ import annotations

import time
from collections.abc import Callable

from tuner.driver.early_stopping import EarlyStopping
from tuner.driver.lease_keeper import LeaseKeeper
from tuner.driver.observer import Observer
from tuner.driver.prefetch_plan import PlanPrefetch
from tuner.driver.watchdog import ExceededTimeout, Watchdog
from tuner.jobs.forecasts import ForecastRecord
from tuner.jobs.records import LeasedRun
from tuner.logs import event_logger
from tuner.training.protocol import Branched, Directive, Evaluated, SnapshotSaved, Updated

_log = event_logger(__name__)

Report = Branched | Evaluated | SnapshotSaved | Updated
"""What a runner reports of a run before its end."""


class RunSupervisor:
    """The driver's side of one run, for the runner that trains it.

    Args:
        lease: The run.
        keeper: Writes under its lease.
        early_stopping: Forecasts its loss at the end.
        watchdog: Knows its limits.
        prefetch: Plans the run that follows.
        observer: Counts updates.
        branch_points: Reads the updates at which other runs are likely to leave this one.
        stop_requested: Whether the process was asked to stop.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        lease: LeasedRun,
        *,
        keeper: LeaseKeeper,
        early_stopping: EarlyStopping,
        watchdog: Watchdog,
        prefetch: PlanPrefetch,
        observer: Observer,
        branch_points: Callable[[], tuple[int, ...]],
        stop_requested: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lease = lease
        self._keeper = keeper
        self._early_stopping = early_stopping
        self._stopped_by: ForecastRecord | None = None
        self._watchdog = watchdog
        self._prefetch = prefetch
        self._observer = observer
        self._branch_points = branch_points
        self._stop_requested = stop_requested
        self._clock = clock

    @property
    def stopping(self) -> bool:
        """Whether the run must stop within its time to stop."""
        return self._watchdog.stopping

    @property
    def stopped_by(self) -> ForecastRecord | None:
        """The forecast that ends the run early; ``None`` while none does."""
        return self._stopped_by

    def forecast(self, evaluated: Evaluated) -> None:
        """Forecast the loss at the end after an evaluation; the evaluation's directive then stops a hopeless run."""
        if evaluated.final:
            return
        forecast = self._early_stopping.evaluated(self.lease, point=evaluated.point)
        if forecast is None:
            return
        self._keeper.forecast(forecast)
        if forecast.stop and not forecast.audited:
            self._stopped_by = self._stopped_by or forecast

    def record(self, report: Report) -> None:
        """Store what the run reports; every report is a sign of progress."""
        self._watchdog.progressed(self._clock(), updates=_updates_done(report))
        match report:
            case Branched(step=step, points=points):
                _log.info("run.branched", step=step)
                self._early_stopping.branched(self.lease, points=points)
                self._keeper.branched(points)
                self._prefetch.begin(self.lease)
            case Evaluated(point=point, updates=updates):
                self._observer.updated(updates, workload=self.lease.workload)
                self._keeper.evaluated(point, updates=updates)
                self._prefetch.begin(self.lease)  # not before: the plan would compete with the directive
            case SnapshotSaved(snapshot=snapshot, updates=updates):
                self._observer.updated(updates, workload=self.lease.workload)
                self._keeper.snapshot_saved(snapshot, updates=updates)
            case Updated():
                pass

    def directive(self, *, refresh: bool) -> Directive:
        """Whether the run goes on after an evaluation, of which `forecast` was called before.

        Args:
            refresh: Read first whether it should stop. Storing the evaluation reads that as well.
        """
        if refresh:
            self._keeper.refresh_stop_reason()
        if self._keeper.lost or self._stopped_by is not None:
            return Directive(stop=True)
        if self._stop_requested() or self._keeper.stop_reason is not None:
            return Directive(stop=True, snapshot=True)
        return Directive(branch_points=self._branch_points() if self._prefetch.has_planned() else ())

    def seconds_to_check(self) -> float:
        """Seconds until `check` is due."""
        return min(self._watchdog.seconds_left(self._clock()), self._keeper.seconds_to_beat())

    def check(self) -> ExceededTimeout | None:
        """Extend the lease when that is due; return the limit that the run has exceeded, if any."""
        if overdue := self._watchdog.overdue(self._clock()):
            return overdue
        self._keeper.beat_if_due()
        # A run that is paused or pre-empted has until its next evaluation, however long that takes: being killed
        # would cost it all updates since its last snapshot.
        if self._keeper.lost or self._stop_requested():
            self._watchdog.stop_requested(self._clock())
        return None


def _updates_done(report: Report) -> int | None:
    """The updates done, where this attempt has made one."""
    match report:
        case Updated(step=step):
            return step
        case Evaluated(updates=updates, point=point) if updates:
            return point.step
        case _:
            return None
