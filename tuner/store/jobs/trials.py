"""Reads of a job's trials."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.jobs.progress import TrialLoss
from tuner.jobs.records import TrialRecord
from tuner.jobs.states import RunState
from tuner.store.db.database import Repository, reads
from tuner.store.db.models import Run, Trial
from tuner.store.db.pages import Page, read_page
from tuner.store.db.rows import job_metric, trial_record
from tuner.store.jobs.transitions import find_job

_WITH_RESULT = (RunState.SUCCEEDED, RunState.DIVERGED, RunState.STOPPED)


class Trials(Repository):
    """The trials of jobs, for reading; `Planning` writes them."""

    @reads
    def list(self, session: Session, job_id: str, *, cursor: str | None = None, limit: int = 500) -> Page[TrialRecord]:
        """A job's trials, by number.

        Args:
            job_id: The job.
            cursor: ``next_cursor`` of the previous page; the first page when absent.
            limit: Trials on the page, 1 to 500.

        Raises:
            NotFound: There is no such job.
            InvalidValue: The limit is out of range, or the cursor is invalid.
        """
        find_job(session, job_id)
        query = select(Trial).where(Trial.job_id == job_id)
        return read_page(session, query, key=Trial.number, record=trial_record, cursor=cursor, limit=limit)

    @reads
    def get(self, session: Session, job_id: str, *, number: int) -> TrialRecord:
        """One trial of a job.

        Raises:
            NotFound: There is no such job, or no such trial in it; the message lists the existing numbers.
        """
        find_job(session, job_id)
        of_job = select(Trial).where(Trial.job_id == job_id)
        trial = session.scalar(of_job.where(Trial.number == number))
        if trial is None:
            last = session.scalar(of_job.order_by(Trial.number.desc()).limit(1))
            existing = "no trials yet" if last is None else f"trials 0 to {last.number}"
            raise NotFound("trial", key=str(number), hint=f"Job {job_id} has {existing}")
        return trial_record(trial)

    @reads
    def losses(self, session: Session, job_id: str, *, numbers: Collection[int]) -> Mapping[int, tuple[TrialLoss, ...]]:
        """How the runs of trials ended, by the trial's number, the first run first.

        Args:
            job_id: The job.
            numbers: Of the trials.

        Raises:
            NotFound: There is no such job.
        """
        metric = job_metric(find_job(session, job_id))
        ended = (
            select(Run.trial_number, Run.seed, Run.step, Run.state, Run.loss)
            .where(Run.job_id == job_id, Run.trial_number.in_(numbers), Run.state.in_(_WITH_RESULT))
            .order_by(Run.seq)
        )
        losses: dict[int, tuple[TrialLoss, ...]] = dict.fromkeys(numbers, ())
        for number, seed, steps, state, loss in session.execute(ended):
            losses[number] += (TrialLoss(seed=seed, steps=steps, state=state, loss=metric.value_or_none(loss)),)
        return losses


def read_trials(session: Session, job_id: str) -> tuple[TrialRecord, ...]:
    """A job's trials, by number."""
    trials = session.scalars(select(Trial).where(Trial.job_id == job_id).order_by(Trial.number))
    return tuple(trial_record(trial) for trial in trials)
