"""Sees one run through: hands it to the runner, passes on what the runner tells, and ends it, one way or another."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

import structlog

from tuner.jobs.records import LeasedRun
from tuner.store import Store
from tuner.training.protocol import Ended, Evaluated, Hello, Outcome, SnapshotSaved, Train, Verdict
from worker.lease_keeper import LeaseKeeper
from worker.run_watch import RunWatch
from worker.runner_process import RunnerDied, RunnerProcess
from worker.settings import WorkerSettings
from worker.sign_of_life import SignOfLife
from worker.snapshot_folders import SnapshotFolders
from worker.stopping import StopRequest

_log = structlog.get_logger(__name__)


class RunEnd(StrEnum):
    """How a run left this worker."""

    RECORDED = "recorded"
    """Its result, or its failure for good, is stored."""
    RETURNED = "returned"
    """It may be claimed again: the worker stops, or the runner died."""
    LOST = "lost"
    """It was no longer ours; what was left of it here counts for nothing."""


class Supervisor:
    """Trains leased runs, one at a time.

    Args:
        store: The database.
        runner: Up and idle whenever `train` is called.
        alive: Told while a run trains that the worker lives.
        settings: Of the worker.
        snapshots: Where runs keep their snapshots.
        stop: Ends the run under way at its next evaluation, with a snapshot.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        runner: RunnerProcess,
        alive: SignOfLife,
        settings: WorkerSettings,
        snapshots: SnapshotFolders,
        stop: StopRequest,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._runner = runner
        self._alive = alive
        self._settings = settings
        self._snapshots = snapshots
        self._stop = stop
        self._clock = clock

    def train(self, lease: LeasedRun) -> RunEnd:
        """Train a leased run and record how it ended. Afterwards the runner is idle, or dead."""
        keeper = LeaseKeeper(
            self._store,
            lease=lease,
            alive=self._alive,
            lease_seconds=self._settings.lease_time.total_seconds(),
            patience_seconds=self._settings.outage_patience.total_seconds(),
            clock=self._clock,
        )
        watch = RunWatch(
            silence_limit=self._settings.silence_limit.total_seconds(),
            kill_grace=self._settings.kill_grace.total_seconds(),
            now=self._clock(),
        )
        self._runner.mark_log(f"run {lease.run_id}, attempt {lease.attempt}")
        try:
            self._runner.send(self._request(lease))
            ended = self._follow(lease.run_id, keeper=keeper, watch=watch)
        except RunnerDied as death:
            return self._after_death(keeper, reason=str(death), asked_to_stop=watch.stopping)
        return self._after_end(keeper, ended=ended)

    def _request(self, lease: LeasedRun) -> Train:
        return Train(
            run_id=lease.run_id,
            workload=lease.workload,
            options=lease.options,
            schedule=lease.schedule,
            total_steps=lease.total_steps,
            seed=lease.seed,
            snapshot_dir=str(self._snapshots.of(lease.run_id, attempt=lease.attempt)),
            snapshot_seconds=self._settings.snapshot_interval.total_seconds(),
            resume=lease.snapshot,
        )

    def _follow(self, run_id: str, *, keeper: LeaseKeeper, watch: RunWatch) -> Ended:
        """Pass messages both ways until the run ends.

        Raises:
            RunnerDied: There is no more to come.
        """
        while True:
            now = self._clock()
            wait = min(watch.seconds_left(now), keeper.seconds_to_beat())
            message = self._runner.receive(timeout=wait, until_stop=not watch.stopping)
            now = self._clock()
            if message is not None:
                watch.heard(now)
            match message:
                case Evaluated() | SnapshotSaved() | Ended() if message.run_id != run_id:
                    raise self._runner.put_down(f"it broke the protocol: it speaks of run {message.run_id}")
                case None:
                    if reason := watch.overdue(now):
                        raise self._runner.put_down(reason)
                case Evaluated(point=point, updates=updates):
                    keeper.evaluated(point, updates=updates)
                    self._runner.send(self._verdict(keeper))
                case SnapshotSaved(snapshot=snapshot, updates=updates):
                    keeper.snapshot_saved(snapshot, updates=updates)
                case Ended():
                    return message
                case Hello():
                    raise self._runner.put_down("it broke the protocol: a second 'hello'")
            keeper.beat_if_due()
            if keeper.lost or self._stop.requested:
                watch.asked_to_stop(self._clock())

    def _verdict(self, keeper: LeaseKeeper) -> Verdict:
        if keeper.lost:
            return Verdict(stop=True)
        if self._stop.requested:
            return Verdict(stop=True, snapshot=True)
        return Verdict()

    def _after_end(self, keeper: LeaseKeeper, *, ended: Ended) -> RunEnd:
        match ended.outcome:
            case Outcome.SUCCEEDED | Outcome.DIVERGED:
                _log.info("run.ended", outcome=ended.outcome.value, loss=ended.loss, step=ended.step)
                recorded = keeper.finish(loss=ended.loss, step=ended.step, updates=ended.updates, reason=ended.reason)
                return RunEnd.RECORDED if recorded else RunEnd.LOST
            case Outcome.FAILED:
                _log.warning("run.failed", reason=ended.reason)
                # An exception may leave a process behind that fails every later run (a CUDA context does).
                self._runner.close()
                reason = f"{ended.reason}\n{ended.traceback}".strip()
                recorded = keeper.fail(reason=reason, retry=False, updates=ended.updates)
                return RunEnd.RECORDED if recorded else RunEnd.LOST
            case Outcome.STOPPED:
                _log.info("run.stopped", step=ended.step)
                return RunEnd.RETURNED if keeper.release(updates=ended.updates) else RunEnd.LOST

    def _after_death(self, keeper: LeaseKeeper, *, reason: str, asked_to_stop: bool) -> RunEnd:
        if asked_to_stop:
            _log.warning("run.cut_off", reason=reason)
            returned = keeper.release()
        else:
            _log.error("runner.died", reason=reason)
            returned = keeper.fail(reason=reason, retry=True)
        return RunEnd.RETURNED if returned else RunEnd.LOST
