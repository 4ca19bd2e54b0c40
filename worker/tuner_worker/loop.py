"""The worker's loop: keeps a runner started, and the driver at work; waits where there is nothing to do."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from tuner.backoff import Backoff
from tuner.devices import Device
from tuner.disk import disk_trouble
from tuner.driver.driver import Driver, DriverSettings
from tuner.driver.planner import Planner
from tuner.driver.prefetch_plan import PlanPrefetch
from tuner.driver.runner import Runner, RunnerDied
from tuner.driver.snapshot_folders import SnapshotFolders
from tuner.driver.watchdog import RunTimeouts
from tuner.errors import DatabaseUnavailable, NotFound, TunerError
from tuner.jobs.records import WorkerOffer, WorkloadInfo
from tuner.store import Store
from tuner_worker.metrics import WorkerMetrics
from tuner_worker.settings import WorkerSettings
from tuner_worker.stop_request import StopRequest

_log = structlog.get_logger(__name__)

START_SECONDS = 300.0
"""How long a runner may take to be ready: importing torch and the training code from a cold, shared disk."""
START_ATTEMPTS = 3
"""Starts in a row that may fail before the worker gives up; those that a kill or the machine ends do not count."""


class RunnerStartError(TunerError):
    """The runner died before it was ready, every time.

    Args:
        reason: How it died.
        is_of_settings: Whether no restart is likely to help, because a setting is wrong: it ended by itself in its
            first start (a workload that cannot be imported, a device that is not there).
    """

    def __init__(self, reason: str, *, is_of_settings: bool) -> None:
        self.reason = reason
        self.is_of_settings = is_of_settings
        super().__init__(f"the runner would not start: {reason}")


@dataclass(frozen=True, kw_only=True)
class Availability:
    """What the operators have set for a worker."""

    draining: bool = False
    reserved_for: str | None = None


class WorkerLoop:
    """One worker: one runner, and one run at a time, on one device or several together.

    Args:
        store: The database.
        runner: Started and restarted by the loop.
        hide: Removes the database's password from what runs print.
        metrics: Observes the driver.
        name: The worker's name.
        device: What it trains on.
        settings: Of the worker.
        stop: Requests a graceful shutdown.
    """

    def __init__(
        self,
        store: Store,
        *,
        runner: Runner,
        hide: Callable[[str], str],
        metrics: WorkerMetrics,
        name: str,
        device: Device,
        settings: WorkerSettings,
        stop: StopRequest,
    ) -> None:
        self._store = store
        self._runner = runner
        self._name = name
        self._device = device
        self._settings = settings
        self._stop = stop
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan-ahead")
        self._driver = Driver(
            store,
            worker=name,
            runner=runner,
            prefetch=PlanPrefetch(store, plan=Planner(store).plan, executor=self._executor),
            snapshots=SnapshotFolders(settings.data_dir / "snapshots"),
            settings=_driver_settings(settings),
            observer=metrics,
            hide=hide,
            stop_requested=lambda: stop.requested,
        )
        self._workloads: tuple[WorkloadInfo, ...] = ()
        self._announced = False
        self._availability = Availability()
        self._disk_trouble: str | None = None

    def run(self) -> None:
        """Work until asked to stop; then end the runner, release the lease and retire the worker.

        Raises:
            RunnerStartError: No runner could be started.
            KeyboardInterrupt: Asked to stop twice; the runner is killed, the lease released by the next start.
        """
        with ExitStack() as stack:
            # Each run waits for its plan: one that is left here is that of a run that was cut off.
            stack.callback(self._executor.shutdown, wait=False, cancel_futures=True)
            stack.callback(self._runner.kill)
            try:
                self._serve()
            except RunnerStartError:
                self._leave()
                raise
            self._runner.close()
            self._leave()

    def step(self) -> bool:
        """Train a run or take a planning step. False when there was nothing to do.

        Raises:
            DatabaseUnavailable: The database is away; nothing is lost.
            RunnerStartError: No runner could be started.
        """
        if self._disk_is_in_trouble():
            self._driver.beat()
            return False
        if not self._ready() or self._stop.requested:
            return False
        claimed = self._driver.work(self._offer)
        if claimed is None:
            self._note_availability()
        return claimed is not None

    def _disk_is_in_trouble(self) -> bool:
        """Whether nothing can be written in the data folder; it is logged when that changes.

        A run would lose its snapshots, and what its code writes: nothing is claimed until the disk is back.
        """
        trouble = disk_trouble(self._settings.data_dir)
        if trouble is not None and self._disk_trouble is None:
            _log.warning("disk.unavailable", reason=trouble, hint="no run is claimed until it can be written to")
        if trouble is None and self._disk_trouble is not None:
            _log.info("disk.available")
        self._disk_trouble = trouble
        return trouble is not None

    def _note_availability(self) -> None:
        """Log the availability for this worker when they change: they explain why it claims nothing."""
        try:
            known = self._store.workers.worker(self._name)
        except NotFound:  # it was removed as dead
            self._announced = False
            return
        availability = Availability(draining=known.draining, reserved_for=known.reserved_for)
        if availability != self._availability:
            _log.info("worker.availability", draining=availability.draining, reserved_for=availability.reserved_for)
            self._availability = availability

    def _serve(self) -> None:
        away, losses = Backoff(), Backoff()
        while not self._stop.requested:
            try:
                busy = self.step()
            except DatabaseUnavailable:
                self._stop.wait(away.pause())
                continue
            away.reset()
            if not self._driver.lost_last_attempt:
                losses.reset()
            elif busy:  # at once it would only be lost again
                self._stop.wait(losses.pause())
            if not busy:
                self._stop.wait(_jittered(self._settings.poll_interval))

    def _ready(self) -> bool:
        """Release our old leases, start the runner, announce the worker. False when it was asked to stop."""
        released = self._driver.release_leases()
        if released is not None:
            event = "worker.resumed" if self._workloads else "worker.started"
            _log.info(event, worker=self._name, device=self._device.name, runs_released=released)
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
        """Start the runner and return what it offers; nothing when the worker was asked to stop meanwhile."""
        between = Backoff()
        failed = 0
        while not self._stop.requested:
            try:
                hello = self._runner.start(timeout=START_SECONDS)
            except RunnerDied as death:
                failed += death.fault_of_run
                _log.error("runner.start_failed", reason=str(death), failed=failed)
                is_of_settings = death.exit_code is not None and not self._workloads
                if is_of_settings or failed >= START_ATTEMPTS:
                    raise RunnerStartError(str(death), is_of_settings=is_of_settings) from None
                self._stop.wait(between.pause())
                continue
            if hello is None:
                return ()
            for refused in hello.refused:
                _log.warning("workload.refused", reason=refused)
            _log.info("runner.ready", pid=hello.pid, workloads=[info.name for info in hello.workloads])
            return hello.workloads
        return ()

    def _leave(self) -> None:
        with suppress(DatabaseUnavailable):
            self._store.workers.retire(self._name)
        _log.info("worker.stopped")


def _driver_settings(settings: WorkerSettings) -> DriverSettings:
    return DriverSettings(
        lease_seconds=settings.lease_time.total_seconds(),
        outage_seconds=settings.outage_patience.total_seconds(),
        snapshot_seconds=settings.snapshot_interval.total_seconds(),
        timeouts=RunTimeouts(
            start=settings.start_limit.total_seconds(),
            silence=settings.silence_limit.total_seconds(),
            run=None if settings.run_limit is None else settings.run_limit.total_seconds(),
            stop=settings.kill_grace.total_seconds(),
        ),
        branching=settings.branch_memory_mb > 0,
        lost_attempts=settings.lost_attempts,
    )


def _jittered(interval: timedelta) -> float:
    return interval.total_seconds() * random.uniform(0.8, 1.2)
