"""The driver: claims what comes next, has a runner train it or takes a planning step, and records how each run ended.

Workers and `tuner.tune` work with the same driver; they differ in the runner and in what observes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tuner.driver.early_stopping import EarlyStopping
from tuner.driver.heartbeat import Heartbeat
from tuner.driver.lease_keeper import LeaseKeeper
from tuner.driver.log_shipper import LogShipper
from tuner.driver.observer import Observer
from tuner.driver.prefetch_plan import PlanPrefetch
from tuner.driver.runner import Runner, RunnerDied
from tuner.driver.snapshot_folders import SnapshotFolders
from tuner.driver.supervisor import RunSupervisor
from tuner.driver.watchdog import RunTimeouts, Watchdog
from tuner.errors import DatabaseUnavailable, NotFound
from tuner.jobs.attempts import LOST_ATTEMPTS
from tuner.jobs.branch_points import branch_points_of
from tuner.jobs.forecasts import ForecastRecord
from tuner.jobs.records import LeasedRun, StudyLock, WorkerOffer
from tuner.jobs.states import is_terminal
from tuner.logs import event_logger, log_context
from tuner.orchestrator import LOCK_SECONDS
from tuner.search.pruning.stopping import MAX_CHANCE
from tuner.store import Store
from tuner.training.protocol import Ended, Outcome, Train

_log = event_logger(__name__)


class RunEnd(StrEnum):
    """How a run left its driver."""

    RECORDED = "recorded"
    """Its result, or its final failure, is stored."""
    RETURNED = "returned"
    """It can be claimed again: it was stopped (so was the worker, or the job is paused, or a more urgent one needs the
    device), or the runner died or was lost."""
    LOST = "lost"
    """The lease was lost; nothing of this attempt counts from then on."""


@dataclass(frozen=True, kw_only=True)
class DriverSettings:
    """The times of a driver, in seconds."""

    lease_seconds: float
    """How long a lease lasts after each heartbeat."""
    outage_seconds: float
    """How long a run is trained on while the database is away."""
    snapshot_seconds: float
    """The least time between two snapshots of a run."""
    timeouts: RunTimeouts
    """The limits of each run."""
    branching: bool = True
    """Whether runs store states for others that share a prefix."""
    lost_attempts: int = LOST_ATTEMPTS
    """Attempts at a run in a row that may be lost while no snapshot of it moves on."""


class Driver:
    """Works on one job or on all, one run or planning step at a time.

    Args:
        store: The database.
        worker: The worker's name, the same after every restart.
        runner: Started and idle whenever `work` is called.
        prefetch: Plans, also while a run is trained.
        snapshots: Where runs keep their snapshots.
        settings: Times.
        observer: Receives counts.
        hide: Removes secrets from what runs print, before it is stored.
        stop_requested: Whether the process was asked to stop; the run stops at its next evaluation then.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        worker: str,
        runner: Runner,
        prefetch: PlanPrefetch,
        snapshots: SnapshotFolders,
        settings: DriverSettings,
        observer: Observer | None = None,
        hide: Callable[[str], str] = str,
        stop_requested: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._worker = worker
        self._runner = runner
        self._prefetch = prefetch
        self._snapshots = snapshots
        self._heartbeat = Heartbeat(store, worker=worker)
        self._early_stopping = EarlyStopping(store, clock=clock)
        self._settings = settings
        self._observer = observer or Observer()
        self._shipper = LogShipper(runner.output, hide=hide, clock=clock)
        self._stop_requested = stop_requested
        self._clock = clock
        self._prefix_key: str | None = None
        self._leases_released = False
        self._lost_last_attempt = False

    @property
    def lost_last_attempt(self) -> bool:
        """Whether the last run that was claimed here was lost by this machine, or by whoever killed its runner."""
        return self._lost_last_attempt

    def beat(self) -> None:
        """Show that the worker is alive, without claiming anything.

        Raises:
            DatabaseUnavailable: The database is away.
        """
        self._heartbeat.beat()

    def release_leases(self) -> int | None:
        """Release what this worker still holds from before a restart or an outage, and delete unused snapshots.

        Returns:
            How many runs were released; ``None`` when that was done already.
        """
        if self._leases_released:
            return None
        released = self._store.reaper.free_worker(self._worker, lost_limit=self._settings.lost_attempts)
        self._snapshots.sweep(self._is_over)
        self._leases_released = True
        return released

    def work(self, offer: WorkerOffer, *, job_id: str | None = None) -> LeasedRun | StudyLock | None:
        """Claim what comes next and do it: train a run, or take a planning step.

        Args:
            offer: What this worker can train.
            job_id: Work on this job alone.

        Returns:
            What was claimed; ``None`` when there was nothing to do.

        Raises:
            DatabaseUnavailable: The database is away between two runs; nothing is lost.
        """
        try:
            self.release_leases()
            claimed = self._claim(offer, job_id=job_id)
            match claimed:
                case LeasedRun():
                    with log_context(job_id=claimed.job_id, run_id=claimed.run_id), self._observer.training(claimed):
                        self._train(claimed)
                    self._prefix_key = claimed.prefix_key
                case StudyLock():
                    self._prefetch.plan(claimed)
                case None:
                    self._heartbeat.beat()
        except DatabaseUnavailable:
            # A claim may have been made whose response was lost, or a plan interrupted with its study locked.
            self._leases_released = False
            raise
        if self._prefetch.pop_interrupted():
            self._leases_released = False
        return claimed

    def _claim(self, offer: WorkerOffer, *, job_id: str | None) -> LeasedRun | StudyLock | None:
        began = self._clock()
        claimed = self._store.queue.claim(
            offer,
            lease_seconds=self._settings.lease_seconds,
            lock_seconds=LOCK_SECONDS,
            job_id=job_id,
            prefix_key=self._prefix_key,
        )
        found = {LeasedRun: "run", StudyLock: "plan"}.get(type(claimed), "nothing")
        self._observer.claimed(self._clock() - began, found=found)
        return claimed

    def _train(self, lease: LeasedRun) -> None:
        """Train a leased run, record how it ended, and delete the snapshots that are no longer needed."""
        self._lost_last_attempt = False
        self._snapshots.discard_earlier(lease.run_id, latest=lease.snapshot)
        _log.info("run.claimed", attempt=lease.attempt, workload=lease.workload, total_steps=lease.total_steps)
        if self._end(lease) is RunEnd.RECORDED:
            self._snapshots.discard(lease.run_id)
        else:
            self._snapshots.sweep(self._is_over)

    def _end(self, lease: LeasedRun) -> RunEnd:
        keeper = LeaseKeeper(
            self._store,
            lease=lease,
            heartbeat=self._heartbeat,
            shipper=self._shipper,
            lease_seconds=self._settings.lease_seconds,
            outage_seconds=self._settings.outage_seconds,
            clock=self._clock,
        )
        supervisor = self._supervisor(lease, keeper=keeper)
        self._prefetch.enter_run(lease)
        self._early_stopping.enter_run(lease)
        self._shipper.begin()
        try:
            ended = self._runner.train(self._request(lease), supervisor=supervisor)
        except RunnerDied as death:
            self._wait_for_plan(keeper)
            return self._record_death(keeper, death=death, lease=lease, stopping=supervisor.stopping)
        self._observer.updated(ended.updates, workload=lease.workload)
        self._prefetch.begin(lease)  # where it reported nothing before its end
        self._wait_for_plan(keeper)
        self._renew_runner(ended)
        if ended.outcome is Outcome.STOPPED and (forecast := supervisor.stopped_by) is not None and not keeper.lost:
            return self._record_stop(keeper, ended=ended, forecast=forecast, lease=lease)
        return self._record_end(keeper, ended=ended, lease=lease)

    def _supervisor(self, lease: LeasedRun, *, keeper: LeaseKeeper) -> RunSupervisor:
        return RunSupervisor(
            lease,
            keeper=keeper,
            early_stopping=self._early_stopping,
            watchdog=Watchdog(self._settings.timeouts, now=self._clock()),
            prefetch=self._prefetch,
            observer=self._observer,
            branch_points=lambda: self._branch_points(lease),
            stop_requested=self._stop_requested,
            clock=self._clock,
        )

    def _request(self, lease: LeasedRun) -> Train:
        return Train(
            run_id=lease.run_id,
            workload=lease.workload,
            options=lease.options,
            schedule=lease.schedule,
            total_steps=lease.total_steps,
            seed=lease.seed,
            evaluations=lease.evaluations,
            metric=lease.metric,
            snapshot_dir=str(self._snapshots.of(lease.run_id, attempt=lease.attempt)),
            snapshot_seconds=self._settings.snapshot_seconds,
            resume=lease.snapshot,
            branch_points=self._branch_points(lease),
        )

    def _branch_points(self, lease: LeasedRun) -> tuple[int, ...]:
        if not self._settings.branching:
            return ()
        try:
            sibling_runs = self._store.queue.sibling_runs(lease)
        except (DatabaseUnavailable, NotFound):  # without its states other runs need more updates
            return ()
        return branch_points_of(lease, sibling_runs=sibling_runs)

    def _wait_for_plan(self, keeper: LeaseKeeper) -> None:
        """Wait for the concurrent planning step, and extend the lease meanwhile."""
        while not self._prefetch.is_done(timeout=keeper.seconds_to_beat()):
            keeper.beat_if_due()

    def _renew_runner(self, ended: Ended) -> None:
        """End a runner that the run has left in a state that may disturb the next run."""
        left = [
            *filter(None, [ended.leftovers]),
            *(f"the process {name!r}" for name in self._runner.leftover_processes()),
        ]
        if left:
            _log.warning("run.leftovers", what=", ".join(left), hint="the runner is ended with it, and restarted")
            self._runner.kill()
        elif ended.outcome is Outcome.FAILED:
            # An exception may leave a process behind that fails every later run (a CUDA context does).
            self._runner.close()

    def _record_end(self, keeper: LeaseKeeper, *, ended: Ended, lease: LeasedRun) -> RunEnd:
        match ended.outcome:
            case Outcome.SUCCEEDED | Outcome.DIVERGED:
                _log.info(
                    "run.ended",
                    outcome=ended.outcome.value,
                    value=lease.metric.value_or_none(ended.loss),
                    step=ended.step,
                )
                stored = keeper.finish(
                    loss=ended.loss,
                    step=ended.step,
                    updates=ended.updates,
                    shared_updates=ended.shared_updates,
                    reason=ended.reason,
                )
                return self._leave(RunEnd.RECORDED, stored=stored, outcome=ended.outcome.value)
            case Outcome.FAILED if ended.lost and self._runner.shortage() is None:
                reason = self._failure(ended, lease=lease)
                return self._record_loss(keeper, event="run.lost", reason=reason, updates=ended.updates)
            case Outcome.FAILED:
                _log.warning("run.failed", reason=ended.reason)
                stored = keeper.fail(reason=self._failure(ended, lease=lease), retry=False, updates=ended.updates)
                return self._leave(RunEnd.RECORDED, stored=stored, outcome=ended.outcome.value)
            case Outcome.STOPPED:
                _log.info("run.returned", step=ended.step, reason=keeper.stop_reason or "the worker stops")
                return self._leave(RunEnd.RETURNED, stored=keeper.release(updates=ended.updates), outcome="returned")

    def _record_stop(self, keeper: LeaseKeeper, *, ended: Ended, forecast: ForecastRecord, lease: LeasedRun) -> RunEnd:
        metric = lease.metric
        rule = "" if forecast.chance < MAX_CHANCE else "the pruner of its raw loss ends it; "
        reason = (
            f"{rule}its forecast, {metric.described(forecast.mean)}, leaves it a "
            f"chance of {forecast.chance:.2g} to beat {metric.text(metric.value(forecast.leader_mean))} "
            f"by {forecast.margin:.2g}"
        )
        _log.info("run.stopped", step=ended.step, reason=reason, chance=forecast.chance)
        stored = keeper.stop(
            forecast, step=ended.step, updates=ended.updates, shared_updates=ended.shared_updates, reason=reason
        )
        return self._leave(RunEnd.RECORDED, stored=stored, outcome=ended.outcome.value)

    def _failure(self, ended: Ended, *, lease: LeasedRun) -> str:
        hint, shortage = ended.hint, self._runner.shortage()
        if not hint and shortage is not None:
            hint = f"The kernel killed a process for lack of memory. {shortage.advice(options=lease.options)}"
        return "\n".join(filter(None, [ended.reason, hint, ended.traceback])).strip()

    def _record_death(self, keeper: LeaseKeeper, *, death: RunnerDied, lease: LeasedRun, stopping: bool) -> RunEnd:
        reason = str(death)
        if death.shortage is not None:
            what, *words = reason.split("\n", 1)
            reason = "\n".join([what, death.shortage.advice(options=lease.options), *words])
        if stopping and not death.final:
            _log.warning("run.killed", reason=reason)
            return self._leave(RunEnd.RETURNED, stored=keeper.release(), outcome="returned")
        if not death.fault_of_run:
            return self._record_loss(keeper, event="runner.died", reason=reason)
        _log.error("runner.died", reason=reason)
        end = RunEnd.RECORDED if death.final else RunEnd.RETURNED
        return self._leave(end, stored=keeper.fail(reason=reason, retry=not death.final), outcome="died")

    def _record_loss(self, keeper: LeaseKeeper, *, event: str, reason: str, updates: int = 0) -> RunEnd:
        """Record an attempt that this machine has lost."""
        _log.warning(event, reason=reason, hint="the attempt does not count as failed")
        self._lost_last_attempt = True
        stored = keeper.lose(reason=reason, lost_limit=self._settings.lost_attempts, updates=updates)
        return self._leave(RunEnd.RETURNED, stored=stored, outcome="died")

    def _leave(self, end: RunEnd, *, stored: bool, outcome: str) -> RunEnd:
        """Count a run that leaves this driver; it is lost where its end could not be stored."""
        self._observer.run_left(outcome if stored else RunEnd.LOST.value)
        return end if stored else RunEnd.LOST

    def _is_over(self, run_id: str) -> bool:
        try:
            return is_terminal(self._store.runs.get(run_id).state)
        except NotFound:  # of another database, or not a run's folder: not ours to delete
            return False
