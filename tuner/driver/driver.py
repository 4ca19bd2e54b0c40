"""Sees one run through: hands it to the runner, passes on what the runner tells, and ends it, one way or another."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

import structlog

from tuner.driver.heartbeat import Heartbeat
from tuner.driver.lease_keeper import LeaseKeeper
from tuner.driver.log_shipper import LogShipper
from tuner.driver.prefetch_plan import PlanPrefetch
from tuner.driver.snapshot_folders import SnapshotFolders
from tuner.driver.watchdog import Patience, Watchdog
from tuner.errors import DatabaseUnavailable, NotFound
from tuner.jobs.records import LeasedRun
from tuner.jobs.sharing import branch_points_of
from tuner.store import Store
from tuner.training.protocol import (
    Branched,
    Ended,
    Evaluated,
    FromRunner,
    Hello,
    Outcome,
    SnapshotSaved,
    Train,
    Updated,
    Verdict,
)
from tuner_worker.metrics import WorkerMetrics
from tuner_worker.runner.process import RunnerDied, RunnerProcess
from tuner_worker.settings import WorkerSettings
from tuner_worker.stop_request import StopRequest

_log = structlog.get_logger(__name__)


class RunEnd(StrEnum):
    """How a run left this worker."""

    RECORDED = "recorded"
    """Its result, or its failure for good, is stored."""
    RETURNED = "returned"
    """It may be claimed again: it was told to stop (so was the worker, or the job is paused, or a more urgent one wants
    the device), or the runner died."""
    LOST = "lost"
    """It was no longer ours; what was left of it here counts for nothing."""


class Supervisor:
    """Trains leased runs, one at a time.

    Args:
        store: The database.
        runner: Up and idle whenever `train` is called.
        alive: Told while a run trains that the worker lives.
        shipper: Passes on what runs print.
        metrics: Counts.
        settings: Of the worker.
        snapshots: Where runs keep their snapshots.
        ahead: Plans what follows a run while it is being trained.
        stop: Ends the run under way at its next evaluation, with a snapshot.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        runner: RunnerProcess,
        alive: Heartbeat,
        shipper: LogShipper,
        metrics: WorkerMetrics,
        settings: WorkerSettings,
        snapshots: SnapshotFolders,
        ahead: PlanPrefetch,
        stop: StopRequest,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._runner = runner
        self._alive = alive
        self._shipper = shipper
        self._metrics = metrics
        self._settings = settings
        self._snapshots = snapshots
        self._ahead = ahead
        self._stop = stop
        self._clock = clock

    def train(self, lease: LeasedRun) -> RunEnd:
        """Train a leased run and record how it ended. Afterwards the runner is idle, or dead."""
        with self._metrics.training(waited_seconds=lease.waited_seconds):
            return self._train(lease)

    def _train(self, lease: LeasedRun) -> RunEnd:
        keeper = LeaseKeeper(
            self._store,
            lease=lease,
            alive=self._alive,
            shipper=self._shipper,
            lease_seconds=self._settings.lease_time.total_seconds(),
            patience_seconds=self._settings.outage_patience.total_seconds(),
            clock=self._clock,
        )
        watch = Watchdog(self._patience, now=self._clock())
        self._ahead.forget()
        self._shipper.begin(f"run {lease.run_id}, attempt {lease.attempt}")
        try:
            self._runner.begin_run()
            self._runner.send(self._request(lease))
            ended = self._follow(lease, keeper=keeper, watch=watch)
        except RunnerDied as death:
            self._wait_for_plan(keeper)
            return self._after_death(keeper, death=death, lease=lease, asked_to_stop=watch.stopping)
        self._metrics.updated(ended.updates, workload=lease.workload)
        self._ahead.begin(lease)  # where it said nothing before its end
        self._wait_for_plan(keeper)
        self._tidy(ended)
        return self._after_end(keeper, ended=ended, lease=lease)

    @property
    def _patience(self) -> Patience:
        settings = self._settings
        return Patience(
            start=settings.start_limit.total_seconds(),
            silence=settings.silence_limit.total_seconds(),
            run=None if settings.run_limit is None else settings.run_limit.total_seconds(),
            stop=settings.kill_grace.total_seconds(),
        )

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
            branch_points=self._branch_points(lease),
        )

    def _branch_points(self, lease: LeasedRun) -> tuple[int, ...]:
        if not self._settings.branch_memory_mb:
            return ()
        try:
            sibling_runs = self._store.queue.sibling_runs(lease)
        except (DatabaseUnavailable, NotFound):  # what is not kept for others costs updates, and no more
            return ()
        return branch_points_of(lease, sibling_runs=sibling_runs)

    def _follow(self, lease: LeasedRun, *, keeper: LeaseKeeper, watch: Watchdog) -> Ended:
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
                watch.heard(now, updates=_updates_done(message))
            match message:
                case Branched() | Evaluated() | Updated() | SnapshotSaved() | Ended() if message.run_id != lease.run_id:
                    raise self._runner.kill_with_reason(f"it broke the protocol: it speaks of run {message.run_id}")
                case None:
                    pass
                case Branched(step=step, points=points):
                    _log.info("run.branched", step=step)
                    keeper.branched(points)
                    self._ahead.begin(lease)
                case Evaluated(point=point, updates=updates):
                    self._metrics.updated(updates, workload=lease.workload)
                    keeper.look()
                    self._runner.send(self._verdict(lease, keeper=keeper))
                    keeper.evaluated(point, updates=updates)
                    self._ahead.begin(lease)  # not before: the device would wait for what the plan keeps busy
                case SnapshotSaved(snapshot=snapshot, updates=updates):
                    self._metrics.updated(updates, workload=lease.workload)
                    keeper.snapshot_saved(snapshot, updates=updates)
                case Ended():
                    return message
                case Updated():
                    pass
                case Hello():
                    raise self._runner.kill_with_reason("it broke the protocol: a second 'hello'")
            if overdue := watch.overdue(now):
                raise self._runner.kill_with_reason(overdue.reason, stuck=overdue.stuck, final=overdue.final)
            keeper.beat_if_due()
            # A run that is paused or pre-empted has until its next evaluation, however long that takes: being killed
            # would cost it all updates since its last snapshot.
            if keeper.lost or self._stop.requested:
                watch.asked_to_stop(self._clock())

    def _verdict(self, lease: LeasedRun, *, keeper: LeaseKeeper) -> Verdict:
        if keeper.lost:
            return Verdict(stop=True)
        if self._stop.requested or keeper.stop_reason is not None:
            return Verdict(stop=True, snapshot=True)
        return Verdict(branch_points=self._branch_points(lease) if self._ahead.has_planned() else ())

    def _wait_for_plan(self, keeper: LeaseKeeper) -> None:
        """Let the plan that was begun beside the run end before the run does; the lease is kept meanwhile."""
        while not self._ahead.is_terminal(timeout=keeper.seconds_to_beat()):
            keeper.beat_if_due()

    def _tidy(self, ended: Ended) -> None:
        """End what a run left behind. What cannot be taken out of the runner's own process ends with it."""
        left = [*filter(None, [ended.left_behind]), *(f"the process {name!r}" for name in self._runner.left_running())]
        if left:
            _log.warning("run.left_behind", what=", ".join(left), hint="the runner is ended with it, and started anew")
            self._runner.kill()
        elif ended.outcome is Outcome.FAILED:
            # An exception may leave a process behind that fails every later run (a CUDA context does).
            self._runner.close()

    def _after_end(self, keeper: LeaseKeeper, *, ended: Ended, lease: LeasedRun) -> RunEnd:
        match ended.outcome:
            case Outcome.SUCCEEDED | Outcome.DIVERGED:
                _log.info("run.ended", outcome=ended.outcome.value, loss=ended.loss, step=ended.step)
                kept = keeper.finish(
                    loss=ended.loss,
                    step=ended.step,
                    updates=ended.updates,
                    shared_updates=ended.shared_updates,
                    reason=ended.reason,
                )
                return self._left(RunEnd.RECORDED, kept=kept, outcome=ended.outcome.value)
            case Outcome.FAILED:
                _log.warning("run.failed", reason=ended.reason)
                kept = keeper.fail(reason=self._why_it_failed(ended, lease=lease), retry=False, updates=ended.updates)
                return self._left(RunEnd.RECORDED, kept=kept, outcome=ended.outcome.value)
            case Outcome.STOPPED:
                _log.info("run.stopped", step=ended.step, reason=keeper.stop_reason or "the worker stops")
                return self._left(RunEnd.RETURNED, kept=keeper.release(updates=ended.updates), outcome="returned")

    def _why_it_failed(self, ended: Ended, *, lease: LeasedRun) -> str:
        hint, shortage = ended.hint, self._runner.shortage()
        if not hint and shortage is not None:
            hint = f"The kernel killed a process for lack of memory. {shortage.advice(options=lease.options)}"
        return "\n".join(filter(None, [ended.reason, hint, ended.traceback])).strip()

    def _after_death(self, keeper: LeaseKeeper, *, death: RunnerDied, lease: LeasedRun, asked_to_stop: bool) -> RunEnd:
        reason = str(death)
        if death.shortage is not None:
            what, *words = reason.split("\n", 1)
            reason = "\n".join([what, death.shortage.advice(options=lease.options), *words])
        if asked_to_stop and not death.final:
            _log.warning("run.cut_off", reason=reason)
            return self._left(RunEnd.RETURNED, kept=keeper.release(), outcome="returned")
        _log.error("runner.died", reason=reason)
        return self._left(RunEnd.RETURNED, kept=keeper.fail(reason=reason, retry=not death.final), outcome="died")

    def _left(self, end: RunEnd, *, kept: bool, outcome: str) -> RunEnd:
        """Count a run that leaves this worker; it is lost where its end was not let in."""
        self._metrics.run_left(outcome if kept else RunEnd.LOST.value)
        return end if kept else RunEnd.LOST


def _updates_done(message: FromRunner) -> int | None:
    """How far a run is, where it has made an update since it was begun or taken up."""
    match message:
        case Updated(step=step):
            return step
        case Evaluated(updates=updates, point=point) if updates:
            return point.step
        case _:
            return None
