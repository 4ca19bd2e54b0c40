"""Reads of a job's runs: their records, curves and logs."""

from __future__ import annotations

from functools import partial

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.jobs.curves import MAX_POINTS, downsample, prefiltered
from tuner.jobs.records import CurvePoint, JobRecord, LogChunk, RunRecord
from tuner.jobs.states import RunState
from tuner.people.permissions import EVERYTHING, Visibility
from tuner.store.db import models
from tuner.store.db.database import Repository, reads
from tuner.store.db.models import Job, Point, Run
from tuner.store.db.pages import Page, check_limit, read_page
from tuner.store.db.rows import curve_point, job_metric, log_chunk, run_record
from tuner.store.jobs.transitions import find_job
from tuner.store.jobs.visibility import visible_jobs

_ROWS_AT_A_TIME = 1_000
MAX_SEQ = 2**31 - 1


class Runs(Repository):
    """The runs of jobs, for reading; `Planning` adds them, and leases write them."""

    @reads
    def list(
        self,
        session: Session,
        job_id: str,
        *,
        trial: int | None = None,
        state: RunState | None = None,
        cursor: str | None = None,
        limit: int = 500,
    ) -> Page[RunRecord]:
        """A job's runs, in the order of creation.

        Args:
            job_id: The job.
            trial: Only of the trial with this number.
            state: Only those in this state.
            cursor: ``next_cursor`` of the previous page; the first page when absent.
            limit: Runs on the page, 1 to 500.

        Raises:
            NotFound: There is no such job.
            InvalidValue: The limit is out of range, or the cursor is invalid.
        """
        metric = job_metric(find_job(session, job_id))
        query = select(Run).where(Run.job_id == job_id)
        if trial is not None:
            query = query.where(Run.trial_number == trial)
        if state is not None:
            query = query.where(Run.state == state)
        return read_page(
            session, query, key=Run.seq, record=partial(run_record, metric=metric), cursor=cursor, limit=limit
        )

    @reads
    def get(self, session: Session, run_id: str) -> RunRecord:
        """One run.

        Raises:
            NotFound: There is no such run.
        """
        run = find_run(session, run_id)
        return run_record(run, metric=job_metric(find_job(session, run.job_id)))

    @reads
    def find(
        self, session: Session, start: str, *, visibility: Visibility = EVERYTHING, limit: int = 10
    ) -> tuple[RunRecord, ...]:
        """The runs whose ids begin with a text, the newest first.

        Args:
            start: The text.
            visibility: Only the runs of these jobs.
            limit: At most so many.
        """
        query = (
            select(Run, Job)
            .join(Job, Job.id == Run.job_id)
            .where(Run.id.startswith(start, autoescape=True), visible_jobs(visibility))
            .order_by(Run.seq.desc())
            .limit(limit)
        )
        return tuple(run_record(run, metric=job_metric(job)) for run, job in session.execute(query))

    @reads
    def curve(self, session: Session, run_id: str, *, points: int | None = None) -> tuple[CurvePoint, ...]:
        """A run's evaluations, by step.

        Args:
            run_id: The run.
            points: Downsample to at most so many (`tuner.jobs.curves.downsample`); to `MAX_POINTS` when absent.

        Raises:
            NotFound: There is no such run.
            InvalidValue: ``points`` is below 4.
        """
        find_run(session, run_id)
        of_run = select(Point).where(Point.run_id == run_id).order_by(Point.step)
        count = session.execute(select(func.count()).select_from(Point).where(Point.run_id == run_id)).scalar_one()
        stored = session.scalars(of_run.execution_options(yield_per=_ROWS_AT_A_TIME))
        return downsample(
            prefiltered(map(curve_point, stored), count=count), max_points=MAX_POINTS if points is None else points
        )

    @reads
    def log(self, session: Session, run_id: str, *, after: int = -1, limit: int = 100) -> tuple[LogChunk, ...]:
        """What a run's code printed, in chunks.

        Args:
            run_id: The run.
            after: Only chunks after this ``seq``; -1 for the first.
            limit: Maximum number of chunks, 1 to 500.

        Raises:
            NotFound: There is no such run.
            InvalidValue: The limit is out of range.
        """
        check_limit(limit)
        find_run(session, run_id)
        chunk = models.LogChunk
        query = select(chunk).where(chunk.run_id == run_id, chunk.seq > min(after, MAX_SEQ)).order_by(chunk.seq)
        return tuple(log_chunk(row) for row in session.scalars(query.limit(limit)))


def read_runs(session: Session, job: JobRecord) -> tuple[RunRecord, ...]:
    """A job's runs, in the order of creation."""
    runs = session.scalars(select(Run).where(Run.job_id == job.id).order_by(Run.seq))
    return tuple(run_record(run, metric=job.metric) for run in runs)


def find_run(session: Session, run_id: str) -> Run:
    """A run's row.

    Raises:
        NotFound: There is no such run.
    """
    run = session.scalar(select(Run).where(Run.id == run_id))
    if run is None:
        raise NotFound("run", key=run_id)
    return run
