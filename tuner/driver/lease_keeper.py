"""One run's line to the database: it keeps the lease alive and lets results in, also across an outage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from tuner.backoff import Backoff
from tuner.driver.heartbeat import INTERVAL_SECONDS, Heartbeat
from tuner.driver.log_shipper import LogShipper
from tuner.errors import DatabaseUnavailable, LeaseLost
from tuner.jobs.records import CurvePoint, LeasedRun, SnapshotRef
from tuner.store import Store

_log = structlog.get_logger(__name__)

BEATS_PER_LEASE = 3
"""Heartbeats sent, at least, in the time after which a silent worker loses its lease."""


class LeaseKeeper:
    """Writes under one lease.

    While the database is away, what the runner told is kept here and written later: the points, the sum of the updates,
    and the last snapshot, for it alone matters. The lease may have passed to another worker by then, or not: nobody can
    take it while the database is away for all. So the run goes on until the database says that the lease is lost, or
    until the outage has lasted too long.

    Args:
        store: The database.
        lease: The lease.
        alive: Told with every heartbeat that the worker lives.
        shipper: Passes on what the run prints, with the heartbeats.
        lease_seconds: How long each heartbeat extends the lease.
        patience_seconds: How long an outage may last before the lease is given up.
        clock: Monotonic seconds.
        pause: Waits for so many seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        lease: LeasedRun,
        alive: Heartbeat,
        shipper: LogShipper,
        lease_seconds: float,
        patience_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._lease = lease
        self._alive = alive
        self._shipper = shipper
        self._lease_seconds = lease_seconds
        self._patience = patience_seconds
        self._clock = clock
        self._pause = pause
        self._points: list[CurvePoint] = []
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
        """Whether the run is no longer ours: nothing that is written would count."""
        return self._lost

    @property
    def stop_reason(self) -> str | None:
        """Why the run should stop at its next evaluation and be given back, as last heard; ``None``: train on."""
        return self._stop_reason

    def seconds_to_beat(self) -> float:
        """Until the next heartbeat is due; 0 when it is overdue."""
        return max(0.0, self._next_beat - self._clock())

    def evaluated(self, point: CurvePoint, *, updates: int) -> None:
        """Store a point of the curve and the updates since the last message, and extend the lease."""
        self._points.append(point)
        self._updates += updates
        self._try_unless_away(self._beat)

    def look(self) -> None:
        """Hear whether the run should go on, so that it need not wait for what it told to be stored."""
        self._try_unless_away(self._hear)

    def branched(self, points: Sequence[CurvePoint]) -> None:
        """Store the beginning of the curve, which another run has drawn, and extend the lease."""
        self._points.extend(points)
        self._try_unless_away(self._beat)

    def snapshot_saved(self, snapshot: SnapshotRef, *, updates: int) -> None:
        """Store where the run can be taken up again, and the updates since the last message."""
        self._snapshot = snapshot
        self._updates += updates
        self._try_unless_away(self._flush_snapshot)

    def beat_if_due(self) -> None:
        """Extend the lease when it is time, and write what an outage held back."""
        if not self._lost and self._clock() >= self._next_beat:
            self._try(self._beat)

    def finish(self, *, loss: float | None, step: int, updates: int, shared_updates: int = 0, reason: str = "") -> bool:
        """Record the result; whether it was let in."""
        self._updates += updates
        leases, lease = self._store.leases, self._lease
        return self._conclude(
            lambda: leases.finish(
                lease, loss=loss, step=step, updates=self._updates, shared_updates=shared_updates, reason=reason
            )
        )

    def fail(self, *, reason: str, retry: bool, updates: int = 0) -> bool:
        """Record that the run failed, for good or for this time; whether it was let in."""
        self._updates += updates
        leases, lease = self._store.leases, self._lease
        return self._conclude(lambda: leases.fail(lease, reason=reason, retry=retry, updates=self._updates))

    def release(self, *, updates: int = 0) -> bool:
        """Give the run back, to be taken up from its last snapshot; whether it was still ours."""
        self._updates += updates
        leases, lease = self._store.leases, self._lease
        return self._conclude(lambda: leases.release(lease, updates=self._updates))

    def _conclude(self, write: Callable[[], None]) -> bool:
        """Write what an outage held back, then the end, until it is let in or the lease is lost."""

        def everything() -> None:
            if self._points:
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
        points, updates = tuple(self._points), self._updates
        heartbeat = self._store.leases.heartbeat
        status = heartbeat(self._lease, points=points, updates=updates, lease_seconds=self._lease_seconds)
        self._note_stop(status.stop)
        self._points.clear()
        self._updates = 0
        self._next_beat = self._clock() + self._beat_seconds
        self._flush_snapshot()
        self._ship_log(last=False)
        self._alive.give()

    def _hear(self) -> None:
        self._note_stop(self._store.leases.check(self._lease))

    def _note_stop(self, reason: str | None) -> None:
        if reason is not None and self._stop_reason is None:
            _log.info("run.to_stop", reason=reason)
        self._stop_reason = reason

    def _flush_snapshot(self) -> None:
        if self._snapshot is not None:
            self._store.leases.save_snapshot(self._lease, self._snapshot, updates=self._updates)
            self._snapshot = None
            self._updates = 0

    def _ship_log(self, *, last: bool) -> None:
        self._shipper.ship(lambda text: self._store.leases.append_log(self._lease, text), last=last)

    def _try_unless_away(self, write: Callable[[], None]) -> None:
        """Write once; in an outage leave it to the next heartbeat, so that the runner is not kept waiting."""
        if not self._lost and self._away_since is None:
            self._try(write)

    def _try(self, write: Callable[[], None]) -> bool:
        """Write once; whether it got through. A failure sets when to try again, or that the lease is lost."""
        try:
            write()
        except LeaseLost:
            self._lost = True
            _log.warning("lease.lost", hint="another worker has the run, or its job is over; this result is dropped")
            return False
        except DatabaseUnavailable as error:
            self._note_outage(error)
            return False
        if self._away_since is not None:
            _log.info("database.back", seconds_away=round(self._clock() - self._away_since, 1))
        self._away_since = None
        self._backoff.reset()
        return True

    def _note_outage(self, error: DatabaseUnavailable) -> None:
        now = self._clock()
        if self._away_since is None:
            self._away_since = now
            _log.warning("database.away", error=str(error), hint="training goes on; what it tells is written later")
        if now - self._away_since > self._patience:
            self._lost = True
            _log.error("lease.given_up", seconds_away=round(now - self._away_since, 1))
        self._next_beat = now + self._backoff.pause()
