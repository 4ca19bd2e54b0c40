"""A whole study in this process: for notebooks, scripts and tests. The same queue, plan and engine as the service."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.devices import choose_device
from tuner.errors import InvalidValue, TunerError
from tuner.filelock import file_lock
from tuner.jobs.admission.admit import admit
from tuner.jobs.progress import Progress
from tuner.jobs.records import JobRecord, LeasedRun, StudyLock, WorkerOffer
from tuner.jobs.sharing import branch_points_of
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.orchestrator import LOCK_SECONDS, advance, advance_beside
from tuner.report.report import Report
from tuner.store import Store

if TYPE_CHECKING:
    from tuner.training.branches import BranchCache
    from tuner.training.protocol import Branched, Ended, Evaluated, SnapshotSaved, Verdict
    from tuner.training.workload import Workload

_WORKER = "in-process"
_LEASE_SECONDS = 24 * 3600.0  # nobody else takes this study's runs; a later call takes them back by the worker's name


class StudyFailed(TunerError):
    """The study ended without an answer; the message says why.

    Example:
        >>> from tuner import OpaqueWorkload, OptimizerKind, StudyFailed, tune
        >>> class Broken(OpaqueWorkload):
        ...     name, version, default_steps = "broken", "1", 10
        ...     description = "A workload that fails."
        ...     optimizer = OptimizerKind.SGD
        ...     def train(self, run, options):
        ...         raise RuntimeError("no data")
        >>> try:
        ...     tune(Broken(), trials=2, search={"confirm_seeds": 0}, device="cpu")
        ... except StudyFailed as error:
        ...     print("RuntimeError: no data" in str(error))
        True
    """


def tune(
    workload: str | Workload,
    *,
    total_steps: int | None = None,
    trials: int = 24,
    options: Mapping[str, Any] | None = None,
    search: Mapping[str, Any] | None = None,
    database: str | Path | None = None,
    device: str = "auto",
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Find the schedule for a workload, training in this process, and return the report.

    Args:
        workload: The name of a workload that is built in or that an installed package offers (docs/workloads.md), or an
            object of your own.
        total_steps: The horizon in optimizer updates, at least 10; the workload's default when absent.
        trials: Schedules to try, the controls included; at least 1.
        options: The workload's options; those left out take their defaults.
        search: Further search settings by name (`tuner.search.settings.SearchSettings`): ``space``, ``seed``, ...
        database: A SQLite file to keep the study in. Calling again with the same file and the same request goes on
            where an interrupted call stopped; a study that failed is begun anew. A temporary file when absent.
        device: ``"cpu"``, ``"cuda:0"``, ...; ``"auto"`` takes the first CUDA device, else the CPU.
        on_progress: Called after every evaluation and every planning step.

    Returns:
        The report of the finished study.

    Raises:
        InvalidValue: An argument is refused; the message names the field, the value and what is allowed.
        FileHeld: Another call works on the same ``database``.
        StudyFailed: The workload failed or every schedule diverged; or somebody paused or cancelled the study in its
            ``database``.
        KeyboardInterrupt: You stopped it; with a ``database`` the next call resumes.

    Example:
        >>> from tuner import tune
        >>> report = tune("digits-mlp", total_steps=20, trials=3, search={"confirm_seeds": 0}, device="cpu")
        >>> len(report.trials)
        3
        >>> report.recommended.schedule.lrs(report.total_steps).shape
        (20,)
    """
    from tuner.training.branches import BranchCache, branch_memory
    from tuner.training.registry import installed_workloads
    from tuner.training.workload import describe
    from tuner.workloads import builtin_workloads

    if isinstance(workload, str):
        known = {**installed_workloads().workloads, **builtin_workloads()}
        if workload not in known:
            raise InvalidValue("workload", value=workload, allowed=f"one of {', '.join(sorted(known))}, or an object")
        workload = known[workload]
    if isinstance(workload, type):
        raise InvalidValue("workload", value=workload.__name__, allowed="an object", hint=f"Give {workload.__name__}()")
    info = describe(workload)
    wanted = {"trials": trials, **(search or {})}
    if total_steps is not None:
        wanted["total_steps"] = total_steps
    chosen = choose_device(device, environment=os.environ)
    spec = admit({"workload": info.name, "options": dict(options or {}), "search": wanted}, workloads=[info])

    with ExitStack() as stack:
        if database is None:
            file = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tuner-"))) / "study.db"
        else:
            file = Path(database).resolve()
        stack.enter_context(file_lock(file.with_suffix(".lock")))
        store = Store.open(f"sqlite:///{file}")
        stack.callback(store.close)
        offer = WorkerOffer.of(_WORKER, device=chosen, workloads=[info])
        store.workers.announce(offer, workloads=[info])
        job = _unfinished_or_new(store, spec=spec, version=info.version)
        store.reaper.free_worker(_WORKER)
        seat = _Seat(
            store=store,
            job_id=job.id,
            workload=workload,
            offer=offer,
            folder=file.with_suffix(".snapshots"),
            branches=BranchCache(limit_bytes=branch_memory()),
        )
        return seat.work(on_progress)


def _unfinished_or_new(store: Store, *, spec: JobSpec, version: str) -> JobRecord:
    """The job of an earlier call with the same request, whether it is still open or completed; else a new one.

    One that failed is not taken up again: what made it fail may have been mended.
    """
    request = hashlib.sha256(f"{version} {spec.model_dump_json()}".encode()).hexdigest()
    jobs = (store.jobs.submit(spec, idempotency_key=f"{_WORKER}-{request}-{attempt}") for attempt in count())
    return next(job for job in jobs if job.state not in {JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, kw_only=True)
class _Seat:
    """One device of this process, working on one job until it is over."""

    store: Store
    job_id: str
    workload: Workload
    offer: WorkerOffer
    folder: Path
    branches: BranchCache

    def work(self, on_progress: Callable[[Progress], None] | None) -> Report:
        """Claim, train and plan until the job has ended; return its report."""

        def moved() -> None:
            if on_progress is not None:
                on_progress(self._progress())

        prefix_key = None
        while (job := self.store.jobs.get(self.job_id)).state in {JobState.QUEUED, JobState.RUNNING}:
            match self._take(prefix_key=prefix_key):
                case LeasedRun() as lease:
                    # As a worker does while it trains: the same request then has the same answer.
                    advance_beside(self.store, lease=lease)
                    self._train(lease, moved=moved)
                    prefix_key = lease.prefix_key
                case StudyLock() as lock:
                    advance(self.store, lock=lock)
                    moved()
                case None:
                    raise StudyFailed(f"job {self.job_id} has neither a run nor a plan left: please report this bug")
        return self._report(job)

    def _take(self, *, prefix_key: str | None) -> LeasedRun | StudyLock | None:
        return self.store.queue.claim(
            self.offer,
            lease_seconds=_LEASE_SECONDS,
            lock_seconds=LOCK_SECONDS,
            job_id=self.job_id,
            prefix_key=prefix_key,
        )

    def _train(self, lease: LeasedRun, *, moved: Callable[[], None]) -> None:
        from tuner.training.protocol import Outcome, Train, Verdict
        from tuner.training.runner.execute import execute

        def evaluated(message: Evaluated) -> Verdict:
            points = [message.point]
            beat = self.store.leases.heartbeat
            status = beat(lease, points=points, updates=message.updates, lease_seconds=_LEASE_SECONDS)
            moved()
            stop = status.stop is not None  # somebody paused the study from outside
            return Verdict(stop=stop, snapshot=stop)

        def saved(message: SnapshotSaved) -> None:
            self.store.leases.save_snapshot(lease, message.snapshot, updates=message.updates)

        def branched(message: Branched) -> None:
            self.store.leases.heartbeat(lease, points=message.points, lease_seconds=_LEASE_SECONDS)

        request = Train(
            run_id=lease.run_id,
            workload=lease.workload,
            options=lease.options,
            schedule=lease.schedule,
            total_steps=lease.total_steps,
            seed=lease.seed,
            snapshot_dir=str(self.folder / lease.run_id / str(lease.attempt)),
            snapshot_seconds=10.0,
            resume=lease.snapshot,
            branch_points=branch_points_of(lease, sibling_runs=self.store.queue.sibling_runs(lease)),
        )
        ended = execute(
            request,
            workloads={lease.workload: self.workload},
            device=self.offer.device,
            on_evaluation=evaluated,
            on_snapshot=saved,
            on_branch=branched,
            branches=self.branches,
        )
        match ended.outcome:
            case Outcome.STOPPED:
                self.store.leases.release(lease, updates=ended.updates)
                return
            case Outcome.FAILED:
                self.store.leases.fail(lease, reason=_failure(ended), retry=False, updates=ended.updates)
            case Outcome.SUCCEEDED | Outcome.DIVERGED:
                self.store.leases.finish(
                    lease,
                    loss=ended.loss,
                    step=ended.step,
                    updates=ended.updates,
                    shared_updates=ended.shared_updates,
                    reason=ended.reason,
                )
        shutil.rmtree(self.folder / lease.run_id, ignore_errors=True)  # nobody takes this run up again

    def _progress(self) -> Progress:
        return self.store.jobs.detail(self.job_id).progress

    def _report(self, job: JobRecord) -> Report:
        stored = self.store.jobs.report(job.id)
        if job.state is not JobState.COMPLETED or stored is None:
            raise StudyFailed(f"the study is {job.state.value}: {job.error or 'no reason was recorded'}")
        return Report.model_validate(stored)


def _failure(ended: Ended) -> str:
    return f"{ended.reason}\n{ended.traceback}".strip()
