"""Writes under the lease of one run: extends it, stores reports and the end, also across a database outage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tuner.backoff import Backoff
from tuner.driver.heartbeat import INTERVAL_SECONDS, Heartbeat
from tuner.driver.log_shipper import LogShipper
from tuner.errors import DatabaseUnavailable, LeaseLost
from tuner.jobs.forecasts import ForecastRecord
from tuner.jobs.records import CurvePoint, LeasedRun, SnapshotRef
from tuner.logs import event_logger
from tuner.store import Store

_log = event_logger(__name__)

BEATS_PER_LEASE = 3
"""Heartbeats sent, at least, in the time after which a silent worker loses its lease."""


class LeaseKeeper:
    """Writes under one lease.

    While the database is away, what the runner reports is buffered and written later: the points with their forecasts,
    the sum of the updates, and the last snapshot. The lease may expire meanwhile, but no worker can claim the run while
    the database is away for all. So the run goes on until the database reports that the lease is lost, or the outage
    lasts too long.

    Args:
        store: The database.
        lease: The lease.
        heartbeat: The worker's own, sent with those of the lease.
        shipper: Stores what the run prints, with the heartbeats.
        lease_seconds: How long each heartbeat extends the lease.
        outage_seconds: How long an outage may last before the lease counts as lost.
        clock: Monotonic seconds.
        pause: Waits for so many seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        lease: LeasedRun,
        heartbeat: Heartbeat,
        shipper: LogShipper,
        lease_seconds: float,
        outage_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._lease = lease
        self._heartbeat = heartbeat
        self._shipper = shipper
        self._lease_seconds = lease_seconds
        self._outage_seconds = outage_seconds
        self._clock = clock
        self._pause = pause
        self._points: list[CurvePoint] = []
        self._forecasts: list[ForecastRecord] = []
        self._updates = 0
        self._snapshot: SnapshotRef | None = None
        self._backoff = Backoff()
        self._away_since: float | None = None
        self._beat_seconds = min(lease_seconds / BEATS_PER_LEASE, INTERVAL_SECONDS)
        self._next_beat = clock() + self._beat_seconds
        self._lost = False
        self._stop_reason: str | None = None

    @property
    def lost(self) -> bool:
        """Whether the lease is lost: further writes are refused."""
        return self._lost

    @property
    def stop_reason(self) -> str | None:
        """Why the run must stop at its next evaluation and be released, as last read; ``None`` when it goes on."""
        return self._stop_reason

    def seconds_to_beat(self) -> float:
        """Until the next heartbeat is due; 0 when it is overdue."""
        return max(0.0, self._next_beat - self._clock())

    def evaluated(self, point: CurvePoint, *, updates: int) -> None:
        """Store a point of the curve and the updates since the last message, and extend the lease."""
        self._points.append(point)
        self._updates += updates
        self._try_unless_away(self._beat)

    def forecast(self, forecast: ForecastRecord) -> None:
        """Store a forecast with the next heartbeat."""
        self._forecasts.append(forecast)

    def refresh_stop_reason(self) -> None:
        """Read whether the run must stop, without waiting until its evaluation is stored."""
        self._try_unless_away(self._read_stop_reason)

    def branched(self, points: Sequence[CurvePoint]) -> None:
        """Store the shared prefix of the curve, which another run has produced, and extend the lease."""
        self._points.extend(points)
        self._try_unless_away(self._beat)

    def snapshot_saved(self, snapshot: SnapshotRef, *, updates: int) -> None:
        """Store the snapshot that the run can be resumed from, and the updates since the last message."""
        self._snapshot = snapshot
        self._updates += updates
        self._try_unless_away(self._flush_snapshot)

    def beat_if_due(self) -> None:
        """Extend the lease when it is time, and write what an outage delayed."""
        if not self._lost and self._clock() >= self._next_beat:
            self._try(self._beat)

    def finish(self, *, loss: float | None, step: int, updates: int, shared_updates: int = 0, reason: str = "") -> bool:
        """Record the result; whether it was accepted."""
        self._updates += updates
        leases, lease = self._store.leases, self._lease
        return self._conclude(
            lambda: leases.finish(
                lease, loss=loss, step=step, updates=self._updates, shared_updates=shared_updates, reason=reason
            )
        )

    def stop(self, forecast: ForecastRecord, *, step: int, updates: int, shared_updates: int = 0, reason: str) -> bool:
        """Record that the run was stopped early, because of a forecast; whether it was accepted."""
        self._updates += updates
        leases, lease = self._store.leases, self._lease
        return self._conclude(
            lambda: leases.stop(
                lease,
                forecast=forecast,
                step=step,
                updates=self._updates,
                shared_updates=shared_updates,
                reason=reason,
            )
        )

    def fail(self, *, reason: str, retry: bool, updates: int = 0) -> bool:
        """Record that the run, or only this attempt, failed; whether it was accepted."""
        self._updates += updates
        leases, lease = self._store.leases, self._lease
        return self._conclude(lambda: leases.fail(lease, reason=reason, retry=retry, updates=self._updates))

    def lose(self, *, reason: str, lost_limit: int, updates: int = 0) -> bool:
        """Record that this attempt was lost by the infrastructure; whether it was accepted."""
        self._updates += updates
        leases, lease = self._store.leases, self._lease
        return self._conclude(lambda: leases.lose(lease, reason=reason, lost_limit=lost_limit, updates=self._updates))

    def release(self, *, updates: int = 0) -> bool:
        """Release the run, to be resumed from its last snapshot; whether the lease was still held."""
        self._updates += updates
        leases, lease = self._store.leases, self._lease
        return self._conclude(lambda: leases.release(lease, updates=self._updates))

    def _conclude(self, write: Callable[[], None]) -> bool:
        """Write what an outage delayed, then the end, until it is accepted or the lease is lost."""

        def everything() -> None:
            if self._points or self._forecasts:
                self._beat()
            self._flush_snapshot()
            self._ship_log(last=True)
            write()

        while not self._lost:
            if self._try(everything):
                return True
            if not self._lost:
                self._pause(self.seconds_to_beat())
        return False

    def _beat(self) -> None:
        status = self._store.leases.heartbeat(
            self._lease,
            points=tuple(self._points),
            forecasts=tuple(self._forecasts),
            updates=self._updates,
            lease_seconds=self._lease_seconds,
        )
        self._note_stop(status.stop)
        self._points.clear()
        self._forecasts.clear()
        self._updates = 0
        self._next_beat = self._clock() + self._beat_seconds
        self._flush_snapshot()
        self._ship_log(last=False)
        self._heartbeat.beat()

    def _read_stop_reason(self) -> None:
        self._note_stop(self._store.leases.check(self._lease))

    def _note_stop(self, reason: str | None) -> None:
        if reason is not None and self._stop_reason is None:
            _log.info("run.stop_requested", reason=reason)
        self._stop_reason = reason

    def _flush_snapshot(self) -> None:
        if self._snapshot is not None:
            self._store.leases.save_snapshot(self._lease, self._snapshot, updates=self._updates)
            self._snapshot = None
            self._updates = 0

    def _ship_log(self, *, last: bool) -> None:
        self._shipper.ship(lambda text: self._store.leases.append_log(self._lease, text), last=last)

    def _try_unless_away(self, write: Callable[[], None]) -> None:
        """Write once; in an outage leave it to the next heartbeat, so that the runner need not wait."""
        if not self._lost and self._away_since is None:
            self._try(write)

    def _try(self, write: Callable[[], None]) -> bool:
        """Write once; whether it succeeded. A failure sets when to try again, or that the lease is lost."""
        try:
            write()
        except LeaseLost:
            self._lost = True
            _log.warning("lease.lost", hint="another worker has the run, or its job is over; this result is dropped")
            return False
        except DatabaseUnavailable:
            self._note_outage()
            return False
        self._away_since = None
        self._backoff.reset()
        return True

    def _note_outage(self) -> None:
        """Training goes on, and its reports are written later; the store logs that the database is away."""
        now = self._clock()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since > self._outage_seconds:
            self._lost = True
            _log.error("lease.abandoned", seconds_unavailable=round(now - self._away_since, 1))
        self._next_beat = now + self._backoff.pause()
