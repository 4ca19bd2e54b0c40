"""A whole study in this process: for notebooks, scripts and tests. The same queue, plan and engine as the service."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.devices import choose_device
from tuner.driver.driver import Driver, DriverSettings
from tuner.driver.prefetch_plan import PlanPrefetch
from tuner.driver.snapshot_folders import SnapshotFolders
from tuner.driver.watchdog import RunTimeouts
from tuner.errors import InvalidValue, StudyFailed
from tuner.extras import explained
from tuner.filelock import file_lock
from tuner.jobs.admission.admit import admit
from tuner.jobs.progress import Progress
from tuner.jobs.records import JobRecord, StudyLock, WorkerOffer
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.orchestrator import run_planning_step
from tuner.report.report import Report
from tuner.store import Store

if TYPE_CHECKING:
    from tuner.driver.in_process import InProcessRunner
    from tuner.training.workload import Workload

_WORKER = "in-process"
_LEASE_SECONDS = 24 * 3600.0  # no other worker claims this study's runs; a later call releases them by name
_OUTAGE_SECONDS = 600.0
_SNAPSHOT_SECONDS = 10.0


def tune(
    workload: str | Workload,
    *,
    total_steps: int | None = None,
    trials: int = 24,
    options: Mapping[str, Any] | None = None,
    search: Mapping[str, Any] | None = None,
    database: str | Path | None = None,
    device: str = "auto",
    run_limit: float | None = None,
    memory_limit_mb: int | None = None,
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
        run_limit: Seconds that one run may take, else it fails; no limit when absent.
        memory_limit_mb: MiB that this process may use with all that it starts, else the run fails; no limit when
            absent.
        on_progress: Called after every evaluation and every planning step.

    Returns:
        The report of the finished study.

    Raises:
        InvalidValue: An argument is refused; the message names the field, the value and what is allowed.
        ExtraMissing: PyTorch, or another package of the extra ``worker``, is not installed.
        FileHeld: Another call works on the same ``database``.
        StudyFailed: The workload failed or every schedule diverged; or the study was paused or cancelled in its
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
    with explained(user="tuner.tune()"):
        from tuner.driver.in_process import InProcessRunner
        from tuner.training.workload import describe

    for field, limit in (("run_limit", run_limit), ("memory_limit_mb", memory_limit_mb)):
        if limit is not None and not limit > 0:
            raise InvalidValue(field, value=limit, allowed="above 0")
    workload = _resolve(workload)
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

        def report_progress() -> None:
            if on_progress is not None:
                on_progress(store.jobs.status(job.id).progress)

        runner = InProcessRunner(
            workload,
            device=chosen.torch_name,
            memory_limit_mib=memory_limit_mb,
            memory_limit_name="memory_limit_mb of tune()",
            on_evaluation=report_progress,
        )
        driver = _driver(store, runner=runner, snapshots=file.with_suffix(".snapshots"), run_limit=run_limit)
        while (job := store.jobs.get(job.id)).state in {JobState.QUEUED, JobState.RUNNING}:
            match driver.work(offer, job_id=job.id):
                case StudyLock():
                    report_progress()
                case None:
                    raise StudyFailed(f"job {job.id} has neither a run nor a plan left: please report this bug")
        return _report(store, job=job)


def _resolve(workload: str | Workload) -> Workload:
    """The workload of a name.

    Raises:
        InvalidValue: There is none, or it is a class.
    """
    with explained(user="tuner.tune()"):
        from tuner.training.registry import installed_workloads
        from tuner.workloads import builtin_workloads

    if isinstance(workload, str):
        known = {**installed_workloads().workloads, **builtin_workloads()}
        if workload not in known:
            raise InvalidValue("workload", value=workload, allowed=f"one of {', '.join(sorted(known))}, or an object")
        workload = known[workload]
    if isinstance(workload, type):
        raise InvalidValue("workload", value=workload.__name__, allowed="an object", hint=f"Give {workload.__name__}()")
    return workload


def _driver(store: Store, *, runner: InProcessRunner, snapshots: Path, run_limit: float | None) -> Driver:
    def plan(lock: StudyLock, *, ahead: bool = False) -> None:
        run_planning_step(store, lock=lock, ahead=ahead)

    never = float("inf")
    timeouts = RunTimeouts(start=never, silence=never, run=run_limit, stop=never, run_limit_name="run_limit of tune()")
    return Driver(
        store,
        worker=_WORKER,
        runner=runner,
        prefetch=PlanPrefetch(store, plan=plan, executor=None),
        snapshots=SnapshotFolders(snapshots),
        settings=DriverSettings(
            lease_seconds=_LEASE_SECONDS,
            outage_seconds=_OUTAGE_SECONDS,
            snapshot_seconds=_SNAPSHOT_SECONDS,
            timeouts=timeouts,
        ),
    )


def _report(store: Store, *, job: JobRecord) -> Report:
    stored = store.jobs.report(job.id)
    if job.state is not JobState.COMPLETED or stored is None:
        raise StudyFailed(f"the study is {job.state.value}: {job.error or 'no reason was recorded'}")
    return Report.model_validate(stored)


def _unfinished_or_new(store: Store, *, spec: JobSpec, version: str) -> JobRecord:
    """The job of an earlier call with the same request, whether it is still open or completed; else a new one.

    One that failed is not resumed: its cause may have been corrected.
    """
    request = hashlib.sha256(f"{version} {spec.model_dump_json()}".encode()).hexdigest()
    jobs = (store.jobs.submit(spec, idempotency_key=f"{_WORKER}-{request}-{attempt}") for attempt in count())
    return next(job for job in jobs if job.state not in {JobState.FAILED, JobState.CANCELLED})
