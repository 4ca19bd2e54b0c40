"""The study lock, and the writes of a plan under it.

One worker at a time plans a job's study. It holds no transaction meanwhile, because Optuna writes on its own
connection; it holds the study lock: a token with an expiry, like a lease. Every write of a plan names the token.

``plan_due`` says whether planning may find something to do. Locking the study clears it, in the same transaction; every
change of the job's runs sets it. So the next plan considers what happens during this one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tuner.errors import IllegalTransition, InvalidValue, NotFound, StudyLockLost
from tuner.jobs.forecasts import BestTrial
from tuner.jobs.records import NewRun, RunRecord, StudyLock, StudyRecord, TrialRecord
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.search.configuration import Configuration, option_values
from tuner.search.decision.decisions import Role
from tuner.search.stage_tree import prefix_key
from tuner.store.db.database import Repository, Tx, reads, writes
from tuner.store.db.models import Job, Report, Run, Trial
from tuner.store.db.rows import as_json, clipped_text, job_metric, job_record, run_record, trial_record
from tuner.store.jobs.events import EventKind
from tuner.store.jobs.forecasts import read_stops
from tuner.store.jobs.run_queries import read_runs
from tuner.store.jobs.sweeps import read_sweeps
from tuner.store.jobs.transitions import emit_run_event, end_job, end_trial, find_job, start_job, unlock_study
from tuner.store.jobs.trials import read_trials


class Planning(Repository):
    """Writes of the worker that holds a study lock. Each raises `StudyLockLost` once the lock is void."""

    @writes
    def extend(self, tx: Tx, lock: StudyLock, *, seconds: float) -> None:
        """Check the lock before an action that cannot be undone, and extend it to ``seconds`` from now.

        Raises:
            StudyLockLost: The lock is void.
        """
        _lock_job(tx, lock).lock_expires_at = tx.now + seconds

    @reads
    def load(self, session: Session, job_id: str) -> StudyRecord:
        """The job with its trials and runs, read in one transaction.

        Raises:
            NotFound: There is no such job.
        """
        job = job_record(find_job(session, job_id))
        return StudyRecord(
            job=job,
            trials=read_trials(session, job_id),
            runs=read_runs(session, job),
            stops=read_stops(session, job_id),
            sweeps=read_sweeps(session, job),
        )

    @writes
    def start_job(self, tx: Tx, lock: StudyLock) -> None:
        """Start the job; a running job is left unchanged.

        Raises:
            StudyLockLost: The lock is void.
        """
        job = _lock_job(tx, lock)
        if job.state is not JobState.RUNNING:
            start_job(tx, job)

    @writes
    def add_trial(
        self,
        tx: Tx,
        lock: StudyLock,
        *,
        number: int,
        role: Role | None,
        configuration: Configuration,
        reason: str,
        run: NewRun,
    ) -> TrialRecord:
        """Store a trial with its first run.

        Raises:
            StudyLockLost: The lock is void; nothing was stored.
            IllegalTransition: The job is not running.
            InvalidValue: The job has a trial of this number.
        """
        job = _lock_running_job(tx, lock)
        trial = Trial(
            id=str(uuid.uuid4()),
            job_id=job.id,
            number=number,
            role=role,
            family=configuration.schedule.family.name,
            state=TrialState.ACTIVE,
            schedule=configuration.schedule.model_dump(mode="json"),
            options=dict(configuration.options),
            reason=clipped_text(reason),
        )
        tx.session.add(trial)
        _flush_unique(tx, field="number", value=number, allowed="new to the job")
        tx.emit(EventKind.TRIAL_STARTED, job_id=job.id, trial=number, role=role, reason=reason)
        _add_run(tx, trial, run)
        return trial_record(trial)

    @writes
    def set_optuna_numbers(self, tx: Tx, lock: StudyLock, *, numbers: Mapping[int, int]) -> None:
        """Store Optuna's numbers of trials.

        Args:
            lock: The lock.
            numbers: Optuna's number by our number.

        Raises:
            StudyLockLost: The lock is void; nothing was stored.
            NotFound: The job has no trial of one of our numbers.
            InvalidValue: Another trial of the job has an Optuna number.
        """
        job = _lock_job(tx, lock)
        for number, optuna_number in numbers.items():
            _trial(tx, job, number=number).optuna_number = optuna_number
        _flush_unique(tx, field="optuna_number", value=sorted(numbers.values()), allowed="new to the job")

    @writes
    def add_run(self, tx: Tx, lock: StudyLock, *, trial_number: int, run: NewRun) -> RunRecord:
        """Store another run of a trial.

        Raises:
            StudyLockLost: The lock is void; nothing was stored.
            IllegalTransition: The job is not running.
            NotFound: The job has no trial of this number.
            InvalidValue: The trial has a run of this length on this seed.
        """
        job = _lock_running_job(tx, lock)
        added = _add_run(tx, _trial(tx, job, number=trial_number), run)
        return run_record(added, metric=job_metric(job))

    @writes
    def set_best(self, tx: Tx, lock: StudyLock, best: BestTrial | None) -> None:
        """Store the trial that the study recommends so far.

        Raises:
            StudyLockLost: The lock is void; nothing was stored.
        """
        _lock_job(tx, lock).best = None if best is None else as_json(asdict(best), field="best")

    @writes
    def close_trial(self, tx: Tx, lock: StudyLock, *, number: int, state: TrialState, reason: str) -> None:
        """End a trial.

        Raises:
            StudyLockLost: The lock is void; nothing was stored.
            NotFound: The job has no trial of this number.
            IllegalTransition: The trial has ended.
        """
        if state not in (TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED):
            raise InvalidValue("state", value=state.value, allowed="completed, pruned or failed")
        job = _lock_job(tx, lock)
        end_trial(tx, _trial(tx, job, number=number), state=state, reason=reason)

    @writes
    def complete_job(
        self, tx: Tx, lock: StudyLock, *, report: dict[str, Any] | None, reason: str | None = None
    ) -> None:
        """Store the report and complete the job, which frees the lock.

        Args:
            lock: The lock.
            report: As JSON; ``None`` for an LR range test alone, which recommends nothing.
            reason: Why the study ended, for the event.

        Raises:
            StudyLockLost: The lock is void; nothing was stored.
            InvalidValue: The report is not JSON with finite numbers.
        """
        job = _lock_job(tx, lock)
        if report is not None:
            tx.session.add(Report(job_id=job.id, report=as_json(report, field="report"), created_at=tx.now))
        end_job(tx, job, state=JobState.COMPLETED, reason=reason)

    @writes
    def fail_job(self, tx: Tx, lock: StudyLock, *, error: str) -> None:
        """Fail a job that cannot reach a report, which frees the lock.

        Raises:
            StudyLockLost: The lock is void; nothing was stored.
        """
        end_job(tx, _lock_job(tx, lock), state=JobState.FAILED, reason=error)

    @writes
    def release(self, tx: Tx, lock: StudyLock, *, again: bool) -> None:
        """Free the lock.

        Args:
            lock: The lock.
            again: Whether planning is due again even if no run changes.

        Raises:
            StudyLockLost: The lock is void, as after `complete_job` and `fail_job`.
        """
        job = _lock_job(tx, lock)
        unlock_study(job)
        job.plan_due = job.plan_due or again


def _lock_job(tx: Tx, lock: StudyLock) -> Job:
    """Lock the row of the job until the transaction ends; check the study lock."""
    locked = select(Job).where(Job.id == lock.job_id, Job.lock_token == lock.token)
    job = tx.session.scalar(locked.with_for_update(key_share=True))
    if job is None:
        raise StudyLockLost(lock.job_id)
    return job


def _lock_running_job(tx: Tx, lock: StudyLock) -> Job:
    job = _lock_job(tx, lock)
    if job.state is not JobState.RUNNING:
        raise IllegalTransition("job", key=job.id, state=job.state.value, wanted="planned before it is started")
    return job


def _trial(tx: Tx, job: Job, *, number: int) -> Trial:
    trial = tx.session.scalar(select(Trial).where(Trial.job_id == job.id, Trial.number == number))
    if trial is None:
        raise NotFound("trial", key=f"{number} of job {job.id}")
    return trial


def _add_run(tx: Tx, trial: Trial, run: NewRun) -> Run:
    row = Run(
        id=str(uuid.uuid4()),
        job_id=trial.job_id,
        trial_id=trial.id,
        trial_number=trial.number,
        seed=run.seed,
        total_steps=run.total_steps,
        schedule=run.schedule.model_dump(mode="json"),
        prefix_key=prefix_key(
            run.schedule, total_steps=run.total_steps, seed=run.seed, options=option_values(trial.options)
        ),
        state=RunState.QUEUED,
        reason=clipped_text(run.reason),
        alternatives=[asdict(one) for one in run.alternatives],
        attempts=0,
        failed_attempts=0,
        lost_attempts=0,
        lost_in_a_row=0,
        step=0,
        updates=0,
        shared_updates=0,
        device_seconds=0.0,
        created_at=tx.now,
        queued_at=tx.now,
    )
    tx.session.add(row)
    _flush_unique(tx, field="run", value=(run.seed, run.total_steps), allowed="new to the trial")
    emit_run_event(tx, EventKind.RUN_QUEUED, row, seed=run.seed, total_steps=run.total_steps, reason=row.reason)
    return row


def _flush_unique(tx: Tx, *, field: str, value: object, allowed: str) -> None:
    try:
        tx.session.flush()
    except IntegrityError as error:
        raise InvalidValue(field, value=value, allowed=allowed) from error
