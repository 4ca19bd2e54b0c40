"""A whole study in this process: for notebooks, scripts and tests. The same queue, plan and engine as the service."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
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
from tuner.jobs.admission.admit import admit, fresh_seed, read_request
from tuner.jobs.admission.strict_json import request_digest
from tuner.jobs.attempts import MAX_LEASE_SECONDS
from tuner.jobs.progress import Progress
from tuner.jobs.records import JobRecord, StudyLock, WorkerOffer
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.jobs.study_state import range_test_of
from tuner.notebook.display import live_display, notebook_cell
from tuner.orchestrator import run_planning_step
from tuner.report.report import Report
from tuner.schedules import Schedule
from tuner.search.range_test.result import RangeTest
from tuner.search.range_test.settings import DEFAULT_STEPS
from tuner.search.settings import BUDGETS
from tuner.store import Store

if TYPE_CHECKING:
    from tuner.driver.in_process import InProcessRunner
    from tuner.search.space import SearchSpace
    from tuner.training.workload import Workload

_WORKER = "in-process"
_LEASE_SECONDS = MAX_LEASE_SECONDS  # no other worker claims this study's runs; a later call releases them by name
_OUTAGE_SECONDS = 600.0
_SNAPSHOT_SECONDS = 10.0


def tune(
    workload: str | Workload,
    *,
    budget: float | str = BUDGETS["standard"],
    total_steps: int | None = None,
    trials: int | None = None,
    incumbent: Schedule | None = None,
    space: str | SearchSpace | Mapping[str, Any] | None = None,
    steps_per_epoch: int | None = None,
    options: Mapping[str, Any] | None = None,
    search: Mapping[str, Any] | None = None,
    database: str | Path | None = None,
    device: str = "auto",
    run_limit: float | None = None,
    memory_limit_mb: int | None = None,
    live: bool | None = None,
    range_test: bool | Mapping[str, Any] = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Find the schedule for a workload, training in this process, and return the report.

    Args:
        workload: The name of a workload that is built in or that an installed package offers (docs/workloads.md), or an
            object of your own.
        budget: What it may cost, in full runs (the updates of one run at the horizon), from 1; or ``"quick"`` (3),
            ``"standard"`` (10), ``"thorough"`` (30). What would not change the recommendation is not spent.
        total_steps: The horizon in optimizer updates, at least 10; the workload's default when absent.
        trials: Most schedules to try; as many as the budget pays for when absent.
        incumbent: The schedule that is used today: nothing that is expected to be worse is recommended. When absent,
            linear warm-up and cosine to zero at the middle of the range of peaks.
        space: Where to search: ``"usual"``, ``"wide"``, ``"finetune"``, ``"pretrain"``, a `SearchSpace`, or fields of a
            job's ``search.space``; ``"usual"`` when absent.
        steps_per_epoch: Updates in one epoch, for all that ``space`` has in epochs.
        options: The workload's options; those left out take their defaults.
        search: Further search settings by name (`tuner.search.settings.SearchSettings`): ``worth``, ``seeds``, ...
            Without a ``seed``, each study draws one.
        database: A SQLite file to keep the study in. Calling again with the same file and the same request goes on
            where an interrupted call stopped; a study that failed is begun anew. A temporary file when absent.
        device: ``"cpu"``, ``"cuda:0"``, ...; ``"auto"`` takes the first CUDA device, else the CPU.
        run_limit: Seconds that one run may take, else it fails; no limit when absent.
        memory_limit_mb: MiB that this process may use with all that it starts, else the run fails; no limit when
            absent.
        live: Whether progress and learning curves are shown while they grow, in the cell of a notebook that calls
            this; in any notebook when absent.
        range_test: Whether an LR range test comes first and bounds the peaks of the search from above; its settings by
            name (`tuner.search.range_test.settings.RangeTestSettings`) in place of True.
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
        >>> report = tune("digits-mlp", budget=3, total_steps=20, device="cpu")
        >>> report.cost.full_runs <= report.cost.budget
        True
        >>> report.recommended.schedule.lrs(report.total_steps).shape
        (20,)
    """
    named = {
        "total_steps": total_steps,
        "trials": trials,
        "incumbent": incumbent,
        "space": {"preset": space} if isinstance(space, str) else space,
        "steps_per_epoch": steps_per_epoch,
    }
    wanted = {"budget": budget, **{name: value for name, value in named.items() if value is not None}, **(search or {})}
    if range_test:
        wanted["range_test"] = {} if range_test is True else dict(range_test)
    with _study(
        workload,
        search=wanted,
        options=options,
        database=database,
        device=device,
        run_limit=run_limit,
        memory_limit_mb=memory_limit_mb,
        live=live,
        on_progress=on_progress,
    ) as (store, job):
        return _report(store, job=job)


def lr_range_test(
    workload: str | Workload,
    *,
    steps: int = DEFAULT_STEPS,
    low: float | None = None,
    high: float | None = None,
    seeds: int = 3,
    options: Mapping[str, Any] | None = None,
    seed: int | None = None,
    device: str = "auto",
    on_progress: Callable[[Progress], None] | None = None,
) -> RangeTest:
    """Run an LR range test (Smith, arXiv 1506.01186) of a workload in this process.

    The rate rises exponentially, on several seeds. The readings bound the peaks that are worth a search; they do not
    find the best one, which depends on the schedule, its length and the loss at its end. `tune` with ``range_test``
    runs one first, and searches below its bound.

    Args:
        workload: As in `tune`.
        steps: Updates over which the rate rises, at least 20.
        low: The rate at the start; a tenth of the lowest peak that a search would try when absent.
        high: The rate at the end, at least ten times ``low``; 30 times the highest peak of a search when absent.
        seeds: Runs, each on its own seed, 1 to 10; their median is read.
        options: The workload's options; those left out take their defaults.
        seed: From which the seeds of the runs follow; a new one when absent.
        device: As in `tune`.
        on_progress: Called after every evaluation and every planning step.

    Returns:
        The median loss by rate, raw and smoothed, and the readings.

    Raises:
        InvalidValue: An argument is refused; the message names the field, the value and what is allowed.
        ExtraMissing: PyTorch, or another package of the extra ``worker``, is not installed.
        StudyFailed: Every run failed.
        KeyboardInterrupt: You stopped it.

    Example:
        >>> from tuner import lr_range_test
        >>> test = lr_range_test("digits-mlp", steps=50, seeds=1, seed=0, device="cpu")
        >>> test.points[0].lr < test.readings.steepest < test.points[-1].lr
        True
    """
    rates = {name: value for name, value in {"low": low, "high": high}.items() if value is not None}
    search: dict[str, Any] = {"range_test": {"steps": steps, "seeds": seeds, "alone": True, **rates}}
    if seed is not None:
        search["seed"] = seed
    with _study(workload, search=search, options=options, device=device, on_progress=on_progress) as (store, job):
        result = range_test_of(store.planning.load(job.id))
        if result is None:
            raise StudyFailed(f"the range test is {job.state.value}: {job.error or 'no reason was recorded'}")
        return result


@contextmanager
def _study(
    workload: str | Workload,
    *,
    search: Mapping[str, Any],
    options: Mapping[str, Any] | None,
    device: str,
    on_progress: Callable[[Progress], None] | None,
    database: str | Path | None = None,
    run_limit: float | None = None,
    memory_limit_mb: int | None = None,
    live: bool | None = False,
) -> Iterator[tuple[Store, JobRecord]]:
    """Work a job to its end; its store is open while the block runs. Arguments and errors are those of `tune`."""
    with explained(user="tuner.tune()"):
        from tuner.driver.in_process import InProcessRunner
        from tuner.training.workload import describe

    for field, limit in (("run_limit", run_limit), ("memory_limit_mb", memory_limit_mb)):
        if limit is not None and not limit > 0:
            raise InvalidValue(field, value=limit, allowed="above 0")
    show = notebook_cell(live)
    workload = _resolve(workload)
    info = describe(workload)
    chosen = choose_device(device, environment=os.environ)
    request = read_request({"workload": info.name, "options": dict(options or {}), "search": dict(search)})
    spec = admit(request, workloads=[info], seed=fresh_seed())

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
        job = _unfinished_or_new(store, spec=spec, seed=request.search.seed, version=info.version)

        refresh = stack.enter_context(live_display(store, job_id=job.id, show=show))

        def report_progress() -> None:
            refresh()
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
        yield store, job


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


def _unfinished_or_new(store: Store, *, spec: JobSpec, seed: int | None, version: str) -> JobRecord:
    """The job of an earlier call with the same request, whether it is still open or completed; else a new one.

    One that failed is not resumed: its cause may have been corrected.

    Args:
        store: Where the study is kept.
        spec: The complete request.
        seed: The seed that the request names; ``None`` where it was drawn, and every call draws another.
        version: Of the workload.
    """
    request = spec.model_dump(mode="json")
    request["search"]["seed"] = seed
    digest = request_digest({"version": version, "request": request})
    jobs = (
        store.jobs.submit(spec, idempotency_key=f"{_WORKER}-{digest}-{attempt}", request_digest=digest)
        for attempt in count()
    )
    return next(job for job in jobs if job.state not in {JobState.FAILED, JobState.CANCELLED})
