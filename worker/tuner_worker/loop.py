"""The worker's loop: claim a run and train it; where none is ready, plan; where there is nothing to plan, wait."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from tuner.backoff import Backoff
from tuner.devices import Device
from tuner.driver.driver import RunEnd, Supervisor
from tuner.driver.heartbeat import Heartbeat
from tuner.driver.log_shipper import LogShipper
from tuner.driver.planner import Planner
from tuner.driver.prefetch_plan import PlanPrefetch
from tuner.driver.snapshot_folders import SnapshotFolders
from tuner.errors import DatabaseUnavailable, NotFound, TunerError
from tuner.jobs.records import LeasedRun, StudyLock, WorkerOffer, WorkloadInfo
from tuner.jobs.states import is_terminal
from tuner.orchestrator import LOCK_SECONDS
from tuner.store import Store
from tuner_worker.metrics import WorkerMetrics
from tuner_worker.runner.process import RunnerDied, RunnerProcess
from tuner_worker.settings import WorkerSettings
from tuner_worker.stop_request import StopRequest

_log = structlog.get_logger(__name__)

START_SECONDS = 300.0
"""How long a runner may take to be ready: importing torch and the training code from a cold, shared disk."""
START_ATTEMPTS = 3
"""Starts in a row that may fail before the worker gives up, once a runner was up; the very first may not fail."""


class RunnerWouldNotStart(TunerError):
    """The runner died before it was ready, every time.

    Args:
        reason: How it died.
        was_up: Whether it had been up before. If not, no restart is likely to help: a setting is wrong (a workload
            that cannot be imported, a device that is not there).
    """

    def __init__(self, reason: str, *, was_up: bool) -> None:
        self.reason = reason
        self.was_up = was_up
        super().__init__(f"the runner would not start: {reason}")


@dataclass(frozen=True, kw_only=True)
class Directives:
    """What people have decided about a worker."""

    draining: bool = False
    reserved_for: str | None = None


class WorkerLoop:
    """One worker: one runner, and one run at a time, on one device or several together.

    Args:
        store: The database.
        runner: Started and restarted by the loop.
        shipper: Passes on what runs print.
        metrics: Counts.
        name: The worker's name.
        device: What it trains on.
        settings: Of the worker.
        stop: Ends the loop, in order.
    """

    def __init__(
        self,
        store: Store,
        *,
        runner: RunnerProcess,
        shipper: LogShipper,
        metrics: WorkerMetrics,
        name: str,
        device: Device,
        settings: WorkerSettings,
        stop: StopRequest,
    ) -> None:
        self._store = store
        self._runner = runner
        self._metrics = metrics
        self._name = name
        self._device = device
        self._settings = settings
        self._stop = stop
        self._snapshots = SnapshotFolders(settings.data_dir / "snapshots")
        self._planner = Planner(store)
        self._ahead = PlanPrefetch(store, planner=self._planner)
        self._alive = Heartbeat(store, worker=name)
        self._supervisor = Supervisor(
            store,
            runner=runner,
            alive=self._alive,
            shipper=shipper,
            metrics=metrics,
            settings=settings,
            snapshots=self._snapshots,
            ahead=self._ahead,
            stop=stop,
        )
        self._workloads: tuple[WorkloadInfo, ...] = ()
        self._announced = False
        self._took_back = False
        self._orders = Directives()
        self._prefix_key: str | None = None

    def run(self) -> None:
        """Work until asked to stop; then leave nothing behind: no runner, no lease, no sign of life.

        Raises:
            RunnerWouldNotStart: There is nothing to work with.
            KeyboardInterrupt: Asked to stop twice; the runner is dead, the lease is left to be taken back.
        """
        with ExitStack() as stack:
            stack.callback(self._ahead.close)
            stack.callback(self._runner.kill)
            try:
                self._serve()
            except RunnerWouldNotStart:
                self._leave()
                raise
            self._runner.close()
            self._leave()

    def turn(self) -> bool:
        """Do one thing: train a run or take a planning step. False when there was nothing to do.

        Raises:
            DatabaseUnavailable: The database is away; nothing is lost, try again later.
            RunnerWouldNotStart: There is nothing to work with.
        """
        if not self._ready() or self._stop.requested:
            return False
        match self._take():
            case LeasedRun() as lease:
                self._train(lease)
            case StudyLock() as lock:
                self._planner.plan(lock)
            case None:
                self._alive.give()
                self._note_directives()
                return False
        return True

    def _take(self) -> LeasedRun | StudyLock | None:
        asked_at = time.monotonic()
        lease_seconds = self._settings.lease_time.total_seconds()
        claim = self._store.queue.claim
        work = claim(self._offer, lease_seconds=lease_seconds, lock_seconds=LOCK_SECONDS, prefix_key=self._prefix_key)
        found = {LeasedRun: "run", StudyLock: "plan"}.get(type(work), "nothing")
        self._metrics.claimed(time.monotonic() - asked_at, found=found)
        return work

    def _note_directives(self) -> None:
        """Tell in the log what people have decided about this worker: it explains why a queue is left alone."""
        try:
            known = self._store.workers.worker(self._name)
        except NotFound:  # somebody took it for dead and had it forgotten
            self._announced = False
            return
        orders = Directives(draining=known.draining, reserved_for=known.reserved_for)
        if orders != self._orders:
            _log.info("worker.orders", draining=orders.draining, reserved_for=orders.reserved_for)
            self._orders = orders

    def _serve(self) -> None:
        away = Backoff()
        while not self._stop.requested:
            try:
                busy = self.turn()
            except DatabaseUnavailable as error:
                _log.warning("database.away", error=str(error))
                # A claim may have been made whose answer was lost, or a plan left in the middle with its study locked.
                self._took_back = False
                self._stop.wait(away.pause())
                continue
            away.reset()
            if not busy:
                self._stop.wait(_jittered(self._settings.poll_interval))

    def _ready(self) -> bool:
        """See to it that our old leases are free, a runner is up and the fleet knows us. False when asked to stop."""
        if not self._took_back:
            freed = self._store.reaper.free_worker(self._name)
            self._sweep()
            self._took_back = True
            event = "database.back" if self._workloads else "worker.started"
            _log.info(event, worker=self._name, device=self._device.name, runs_taken_back=freed)
        if not self._runner.alive:
            self._announced = False
            self._workloads = self._start_runner()
        if not self._announced and self._workloads:
            self._store.workers.announce(self._offer, workloads=self._workloads)
            self._announced = True
        return self._announced

    @property
    def _offer(self) -> WorkerOffer:
        return WorkerOffer.of(self._name, device=self._device, workloads=self._workloads)

    def _start_runner(self) -> tuple[WorkloadInfo, ...]:
        """Start a runner and return what it offers; nothing when asked to stop meanwhile."""
        between = Backoff()
        reason = ""
        for attempt in range(1, (START_ATTEMPTS if self._workloads else 1) + 1):
            if self._stop.requested:
                return ()
            try:
                hello = self._runner.start(timeout=START_SECONDS)
            except RunnerDied as death:
                reason = str(death)
                _log.error("runner.start_failed", reason=reason, attempt=attempt)
                self._stop.wait(between.pause())
                continue
            if hello is None:
                return ()
            for refused in hello.refused:
                _log.warning("workload.refused", reason=refused)
            _log.info("runner.ready", pid=hello.pid, workloads=[info.name for info in hello.workloads])
            return hello.workloads
        raise RunnerWouldNotStart(reason, was_up=bool(self._workloads))

    def _train(self, lease: LeasedRun) -> None:
        with structlog.contextvars.bound_contextvars(job_id=lease.job_id, run_id=lease.run_id):
            _log.info("run.claimed", attempt=lease.attempt, workload=lease.workload, total_steps=lease.total_steps)
            end = self._supervisor.train(lease)
            self._prefix_key = lease.prefix_key
            if self._ahead.broke_off:
                self._ahead.broke_off, self._took_back = False, False  # the study may still be locked in our name
            if end is RunEnd.RECORDED:
                self._snapshots.discard(lease.run_id)
            else:
                self._sweep()

    def _sweep(self) -> None:
        """Delete the snapshots of runs that are over; a disk should not fill with what nobody needs."""
        self._snapshots.sweep(self._is_over)

    def _is_over(self, run_id: str) -> bool:
        try:
            return is_terminal(self._store.runs.get(run_id).state)
        except NotFound:  # of another database, or no run's folder at all: not ours to delete
            return False

    def _leave(self) -> None:
        with suppress(DatabaseUnavailable):
            self._store.workers.retire(self._name)
        _log.info("worker.left")


def _jittered(interval: timedelta) -> float:
    return interval.total_seconds() * random.uniform(0.8, 1.2)
