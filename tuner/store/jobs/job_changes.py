"""Changes to a stored job: change, pause, resume, retry, delete. The caller holds the job's row."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import case, delete, func, select, update

from tuner.errors import IllegalTransition
from tuner.jobs.admission.change import JobChange, SearchProgress, changed
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JOB_TRANSITIONS, JobState, RunState, TrialState, check_transition, is_terminal
from tuner.people.records import TeamSettings
from tuner.store.accounting.team_quotas import check_priority
from tuner.store.db.database import Tx
from tuner.store.db.models import Event, Forecast, Job, LogChunk, Point, Report, Run, Snapshot, Trial
from tuner.store.jobs.events import EventKind
from tuner.store.jobs.job_limits import mark_limit
from tuner.store.jobs.transitions import unlock_study

_RETRIED_RUNS = (RunState.FAILED, RunState.CANCELLED)
_RETRIED_TRIALS = (TrialState.FAILED, TrialState.CANCELLED)


def change_job(tx: Tx, job: Job, *, change: JobChange, settings: TeamSettings | None) -> None:
    """Change a job's request.

    Args:
        tx: The transaction.
        job: The job.
        change: What to change.
        settings: Of the locked team; required for a change of the priority.

    Raises:
        IllegalTransition: The job has completed, and the change concerns its training.
        InvalidValue: The change is refused.
    """
    trains = change.training_fields
    if trains and job.state is JobState.COMPLETED:
        raise IllegalTransition(
            "job", key=job.id, state=job.state.value, wanted=f"changed in {', '.join(sorted(trains))}"
        )
    if "priority" in trains:
        check_priority(settings, change.priority)
    spec = changed(JobSpec.model_validate(job.spec), change, progress=_search_progress(tx, job))
    job.spec = spec.model_dump(mode="json")
    job.name, job.shared, job.priority = spec.name, spec.shared, spec.priority.rank
    if "limits" in trains:
        job.limit_reached = None
        mark_limit(tx, job)
    if trains - {"priority"} and not is_terminal(job.state):
        unlock_study(job)
        job.plan_due = True
    tx.emit(EventKind.JOB_CHANGED, job_id=job.id, fields=sorted(change.model_fields_set))


def pause_job(tx: Tx, job: Job) -> None:
    """Pause a job; a planner loses the study lock.

    Raises:
        IllegalTransition: The job has ended.
    """
    _transition(job, to=JobState.PAUSED)
    job.plan_due = False
    unlock_study(job)
    tx.emit(EventKind.JOB_PAUSED, job_id=job.id)


def resume_job(tx: Tx, job: Job) -> None:
    """Resume a paused job.

    Raises:
        IllegalTransition: The job is not paused.
    """
    if job.state is not JobState.PAUSED:
        raise IllegalTransition("job", key=job.id, state=job.state.value, wanted="resumed")
    _transition(job, to=_resumed_state(job))
    job.plan_due = True
    tx.emit(EventKind.JOB_RESUMED, job_id=job.id)


def retry_job(tx: Tx, job: Job, *, check_limits: Callable[[], None]) -> None:
    """Retry a job that failed or was cancelled.

    Args:
        tx: The transaction.
        job: The job.
        check_limits: Raises when a limit is reached; called once the job's state permits a retry.

    Raises:
        IllegalTransition: The job has neither failed nor been cancelled.
    """
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        raise IllegalTransition("job", key=job.id, state=job.state.value, wanted="retried")
    check_limits()
    _transition(job, to=_resumed_state(job))
    job.started_at = None if job.started_at is None else tx.now
    job.finished_at = job.error = job.limit_reached = None
    job.plan_due = True
    # Runs without a result start again: what their earlier attempts left would mix with the new curve.
    retried = (Run.job_id == job.id) & Run.state.in_(_RETRIED_RUNS)
    ids = tx.session.scalars(select(Run.id).where(retried)).all()
    for table in (Snapshot, Point, Forecast):
        tx.session.execute(delete(table).where(table.run_id.in_(select(Run.id).where(retried))))
    tx.session.execute(
        update(Run)
        .where(retried)
        .values(
            state=RunState.QUEUED,
            failed_attempts=0,
            lost_attempts=0,
            lost_in_a_row=0,
            step=0,
            error=None,
            worker=None,
            stop_reason=None,
            queued_at=tx.now,
            started_at=None,
            finished_at=None,
        )
    )
    # Their attempts begin anew, but not the numbers of these: each names a folder that its code may still write to.
    job.failed_attempts, job.lost_attempts = _sum_attempts(tx, job)
    trials = update(Trial).where(Trial.job_id == job.id, Trial.state.in_(_RETRIED_TRIALS))
    tx.session.execute(trials.values(state=TrialState.ACTIVE, end_reason=None))
    tx.emit(EventKind.JOB_RETRIED, job_id=job.id, runs=len(ids))


def delete_job(tx: Tx, job: Job) -> None:
    """Delete an ended job and its trials, runs, events and report.

    Raises:
        IllegalTransition: The job has not ended.
    """
    if not is_terminal(job.state):
        raise IllegalTransition("job", key=job.id, state=job.state.value, wanted="deleted before it is over")
    runs = select(Run.id).where(Run.job_id == job.id)
    for of_run in (Point, Forecast, Snapshot, LogChunk):
        tx.session.execute(delete(of_run).where(of_run.run_id.in_(runs)))
    for of_job in (Run, Trial, Event, Report):
        tx.session.execute(delete(of_job).where(of_job.job_id == job.id))
    tx.session.execute(delete(Job).where(Job.id == job.id))


def _resumed_state(job: Job) -> JobState:
    """The state of an open job that continues."""
    return JobState.QUEUED if job.started_at is None else JobState.RUNNING


def _transition(job: Job, *, to: JobState) -> None:
    check_transition(JOB_TRANSITIONS, kind="job", key=job.id, state=job.state, to=to)
    job.state = to


def _sum_attempts(tx: Tx, job: Job) -> tuple[int, int]:
    """The attempts of a job's runs that failed, and those that were lost."""
    sums = select(func.coalesce(func.sum(Run.failed_attempts), 0), func.coalesce(func.sum(Run.lost_attempts), 0)).where(
        Run.job_id == job.id
    )
    failed, lost = tx.session.execute(sums).one()
    return int(failed), int(lost)


def _search_progress(tx: Tx, job: Job) -> SearchProgress:
    trials = select(func.count()).select_from(Trial).where(Trial.job_id == job.id)
    # Cancelled runs count: runs are cancelled only with their job, and a retry of the job trains them again.
    reached = Run.state.in_((RunState.SUCCEEDED, RunState.STOPPED, RunState.DIVERGED))
    cost = case((reached, Run.step), else_=Run.total_steps)
    asked = select(func.sum(cost)).where(Run.job_id == job.id)
    return SearchProgress(
        trials=tx.session.scalar(trials) or 0,
        committed_updates=int(tx.session.scalar(asked) or 0),
    )
