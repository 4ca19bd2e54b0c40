"""What people do to a job that is stored: its row is held, and its state and its events change in one transaction."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import delete, func, select, update

from tuner.errors import IllegalTransition
from tuner.jobs.admission.change import JobChange, SearchProgress, changed
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JOB_TRANSITIONS, JobState, RunState, TrialState, check_transition, is_terminal
from tuner.people.records import TeamSettings
from tuner.store.accounting.team_quotas import check_priority
from tuner.store.db.database import Tx
from tuner.store.db.models import Event, Job, LogChunk, Point, Report, Run, Snapshot, Trial
from tuner.store.jobs.job_limits import note_limit
from tuner.store.jobs.lifecycle import EventKind, unlock

_AGAIN = (RunState.FAILED, RunState.CANCELLED)
_TRIALS_AGAIN = (TrialState.FAILED, TrialState.CANCELLED)


def change_job(tx: Tx, job: Job, *, change: JobChange, settings: TeamSettings | None) -> None:
    """Change a job's request.

    Args:
        tx: The transaction.
        job: The job.
        change: What to change.
        settings: The team's, as it is held; needed for a change of the priority.

    Raises:
        IllegalTransition: It has completed, and the change concerns its training.
        InvalidValue: The change is refused.
    """
    trains = change.of_the_training
    if trains and job.state is JobState.COMPLETED:
        raise IllegalTransition(
            "job", key=job.id, state=job.state.value, wanted=f"changed in {', '.join(sorted(trains))}"
        )
    if "priority" in trains:
        check_priority(settings, change.priority)
    spec = changed(JobSpec.model_validate(job.spec), change, course=_course(tx, job))
    job.spec = spec.model_dump(mode="json")
    job.name, job.shared, job.priority = spec.name, spec.shared, spec.priority.rank
    if "limits" in trains:
        job.limit_reached = None
        note_limit(tx, job)
    if trains - {"priority"} and not is_terminal(job.state):
        unlock(job)
        job.plan_due = True
    tx.tell(EventKind.JOB_CHANGED, job_id=job.id, fields=sorted(change.model_fields_set))


def pause_job(tx: Tx, job: Job) -> None:
    """Set a job aside; whoever plans it loses the study lock.

    Raises:
        IllegalTransition: It is over.
    """
    _move(job, to=JobState.PAUSED)
    job.plan_due = False
    unlock(job)
    tx.tell(EventKind.JOB_PAUSED, job_id=job.id)


def resume_job(tx: Tx, job: Job) -> None:
    """Go on with a paused job.

    Raises:
        IllegalTransition: It is not paused.
    """
    if job.state is not JobState.PAUSED:
        raise IllegalTransition("job", key=job.id, state=job.state.value, wanted="resumed")
    _move(job, to=_begun(job))
    job.plan_due = True
    tx.tell(EventKind.JOB_RESUMED, job_id=job.id)


def retry_job(tx: Tx, job: Job, *, allowed: Callable[[], None]) -> None:
    """Go on with a job that failed or was cancelled.

    Args:
        tx: The transaction.
        job: The job.
        allowed: Raises when a limit stands in the way; called once the job's state permits it.

    Raises:
        IllegalTransition: It has neither failed nor been cancelled.
    """
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        raise IllegalTransition("job", key=job.id, state=job.state.value, wanted="tried again")
    allowed()
    _move(job, to=_begun(job))
    job.started_at = None if job.started_at is None else tx.now
    job.finished_at = job.error = job.limit_reached = None
    job.plan_due = True
    again = (Run.job_id == job.id) & Run.state.in_(_AGAIN)
    ids = tx.session.scalars(select(Run.id).where(again)).all()
    for table in (Snapshot, Point):
        tx.session.execute(delete(table).where(table.run_id.in_(select(Run.id).where(again))))
    tx.session.execute(
        update(Run)
        .where(again)
        .values(
            state=RunState.QUEUED,
            attempts=0,
            step=0,
            error=None,
            worker=None,
            stop_reason=None,
            queued_at=tx.now,
            started_at=None,
            finished_at=None,
        )
    )
    trials = update(Trial).where(Trial.job_id == job.id, Trial.state.in_(_TRIALS_AGAIN))
    tx.session.execute(trials.values(state=TrialState.ACTIVE, end_reason=None))
    tx.tell(EventKind.JOB_RETRIED, job_id=job.id, runs=len(ids))


def delete_job(tx: Tx, job: Job) -> None:
    """Delete a job that is over, and all that belongs to it alone.

    Raises:
        IllegalTransition: It is not over.
    """
    if not is_terminal(job.state):
        raise IllegalTransition("job", key=job.id, state=job.state.value, wanted="deleted before it is over")
    runs = select(Run.id).where(Run.job_id == job.id)
    for of_run in (Point, Snapshot, LogChunk):
        tx.session.execute(delete(of_run).where(of_run.run_id.in_(runs)))
    for of_job in (Run, Trial, Event, Report):
        tx.session.execute(delete(of_job).where(of_job.job_id == job.id))
    tx.session.execute(delete(Job).where(Job.id == job.id))


def _begun(job: Job) -> JobState:
    """The state in which an open job goes on."""
    return JobState.QUEUED if job.started_at is None else JobState.RUNNING


def _move(job: Job, *, to: JobState) -> None:
    check_transition(JOB_TRANSITIONS, kind="job", key=job.id, state=job.state, to=to)
    job.state = to


def _course(tx: Tx, job: Job) -> SearchProgress:
    opened = select(func.count()).select_from(Trial).where(Trial.job_id == job.id)
    # Runs are cancelled with their job alone: when it is tried again, so are they, and their updates are due.
    asked = select(func.sum(Run.total_steps - Run.shared_updates)).where(Run.job_id == job.id)
    answered = select(Trial.id).where(Trial.job_id == job.id, Trial.state == TrialState.COMPLETED).limit(1)
    return SearchProgress(
        opened=tx.session.scalar(opened) or 0,
        asked=int(tx.session.scalar(asked) or 0),
        answered=tx.session.scalar(answered) is not None,
    )
