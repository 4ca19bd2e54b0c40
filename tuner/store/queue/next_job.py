"""Which job a worker is served next: the order of `tuner.jobs.scheduling.serving_order`, read from the tables.

Every claim asks, so the cost must not grow with the number of jobs. For each account and priority class, an index that
holds its jobs in order yields the first one with work. Open jobs without work are rare there: a job that is open has a
run ready, or planning is due, or one of the few workers holds a run or the study lock of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Double, Integer, Select, and_, bindparam, or_, select, tuple_
from sqlalchemy.orm import Session

from tuner.jobs.priority import Priority
from tuner.jobs.records import WorkerOffer
from tuner.jobs.scheduling.serving_order import Account, WaitingJob, serving_order
from tuner.jobs.states import JobState, RunState
from tuner.store.db import models
from tuner.store.db.clock import expired
from tuner.store.db.models import Job, Run, Worker
from tuner.store.queue.fair_share import FairShare

_CLASSES = sorted(Priority, key=lambda priority: priority.rank, reverse=True)


@dataclass(frozen=True, kw_only=True)
class ClaimRequest:
    """A worker's request for work."""

    offer: WorkerOffer
    now: float
    """By the database's clock."""
    job_id: str | None
    """The only job to claim from; ``None``: any."""
    prefix_key: str | None = None
    """Of the run that the worker trained last: of a job's runs, those with the same key come first."""


@dataclass(frozen=True, kw_only=True)
class CandidateJob:
    """A job that may serve a worker's request."""

    seq: int
    may_train: bool
    """Whether its runs may be leased; otherwise it may only be planned."""


def candidate_jobs(session: Session, request: ClaimRequest, *, skipped: Collection[int] = ()) -> Iterator[CandidateJob]:
    """The jobs that have work for a worker, the first of every account, in scheduling order.

    Args:
        session: Of the transaction.
        request: The worker's.
        skipped: ``seq`` of jobs to leave out.
    """
    query = _JobQuery.for_worker(session, request, skipped=skipped)
    if query is None:
        return
    fair_share = FairShare(session, now=request.now)
    for priority in _CLASSES:
        first = query.first_jobs(priority)
        if not first:
            continue
        blocked: set[Account] = set()
        for job in serving_order(first, loads=fair_share.loads):
            if fair_share.blocking_limit(job.account) is None:
                yield CandidateJob(seq=job.seq, may_train=True)
            else:
                blocked.add(job.account)
        if blocked:
            # A limit blocks training, not planning: jobs with nothing left to train can still be ended.
            trained = query.first_jobs(priority, all_trained=True)
            for job in serving_order((job for job in trained if job.account in blocked), loads=fair_share.loads):
                yield CandidateJob(seq=job.seq, may_train=False)


def has_candidate_jobs(session: Session, request: ClaimRequest) -> bool:
    """Whether `candidate_jobs` would yield any; cheaper, because nothing is put in order."""
    query = _JobQuery.for_worker(session, request, skipped=())
    if query is None:
        return False
    fair_share = FairShare(session, now=request.now)
    for priority in _CLASSES:
        first = query.first_jobs(priority)
        if any(fair_share.blocking_limit(job.account) is None for job in first):
            return True
        if first and query.first_jobs(priority, all_trained=True):
            return True
    return False


def planning_is_due(now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """The open jobs that can be planned.

    An expired lock makes planning due: nothing says how far its holder came.
    """
    return or_(and_(Job.plan_due, Job.lock_token.is_(None)), expired(Job.lock_expires_at, now=now))


def has_ready_run() -> ColumnElement[bool]:
    """The running jobs of which a run can be leased."""
    # A scalar subquery, not EXISTS: PostgreSQL would sometimes turn EXISTS into a scan of all ready runs.
    ready = select(Run.seq).where(Run.job_id == Job.id, Run.state == RunState.QUEUED).limit(1)
    return and_(Job.state == JobState.RUNNING, Job.limit_reached.is_(None), ready.scalar_subquery().is_not(None))


@dataclass(frozen=True)
class _JobQuery:
    """The query for the jobs that fit one worker: a statement, and the values of its parameters."""

    session: Session
    shape: _QueryShape
    values: Mapping[str, Any]

    @classmethod
    def for_worker(cls, session: Session, request: ClaimRequest, *, skipped: Collection[int]) -> _JobQuery | None:
        """The query; ``None`` for a worker that is draining."""
        offer = request.offer
        worker = session.execute(
            select(Worker.draining, Worker.reserved_for).where(Worker.name == offer.name)
        ).one_or_none()
        if worker is not None and worker.draining:
            return None
        values = {
            "now": request.now,
            "workloads": list(offer.workloads.items()),
            "kinds": ["any", offer.device_kind.value],
            "devices": offer.devices,
            "memory": offer.memory_bytes,
            "team": None if worker is None else worker.reserved_for,
            "job_id": request.job_id,
            "skipped": sorted(skipped) or None,
        }
        present = {name: value for name, value in values.items() if value is not None}
        return cls(session, _QueryShape(parameters=frozenset(present), all_trained=False), present)

    def first_jobs(self, priority: Priority, *, all_trained: bool = False) -> list[WaitingJob]:
        """The oldest job with work of every account in a class.

        Args:
            priority: The class.
            all_trained: Only jobs that can be planned and have nothing left to train.
        """
        statement = _first_jobs(replace(self.shape, all_trained=all_trained))
        rows = self.session.execute(statement, {**self.values, "rank": priority.rank})
        return [
            WaitingJob(seq=min(seqs), rank=priority.rank, account=Account(team=team, owner=owner))
            for team, owner, *firsts in rows
            if (seqs := [seq for seq in firsts if seq is not None])
        ]


@dataclass(frozen=True, kw_only=True)
class _QueryShape:
    """What distinguishes one statement from another, as the key of the cache; values are bound parameters."""

    parameters: frozenset[str]
    """The optional parameters that are present."""
    all_trained: bool


@cache
def _first_jobs(shape: _QueryShape) -> Select[*tuple[Any, ...]]:
    """The oldest job of every account in a class, queued and running.

    Cached: building the statement takes longer than PostgreSQL takes to run it.
    """
    conditions = _conditions(shape)
    # One subquery per state: the index holds the jobs of each state in order, not those of both together.
    firsts = [
        select(Job.seq)
        .where(
            Job.team == models.Account.team,
            Job.owner == models.Account.owner,
            Job.state == state,
            # A range instead of an equation, and part of ORDER BY: only the index's own order satisfies that. With an
            # equation PostgreSQL may scan all teams' jobs by `seq` until one fits.
            Job.priority.between(bindparam("rank", type_=Integer), bindparam("rank", type_=Integer)),
            *conditions,
        )
        .order_by(Job.priority, Job.seq)
        .limit(1)
        .correlate(models.Account)
        .scalar_subquery()
        for state in (JobState.QUEUED, JobState.RUNNING)
    ]
    return select(models.Account.team, models.Account.owner, *firsts)


def _conditions(shape: _QueryShape) -> list[ColumnElement[bool]]:
    """The jobs that have work, and whose workload and resources the worker offers."""
    memory: ColumnElement[bool] = Job.needs_memory_bytes.is_(None)
    if "memory" in shape.parameters:
        memory = or_(memory, Job.needs_memory_bytes <= bindparam("memory"))
    conditions = [
        tuple_(Job.workload, Job.workload_version).in_(bindparam("workloads", expanding=True)),
        Job.needs_device.in_(bindparam("kinds", expanding=True)),
        Job.needs_devices <= bindparam("devices"),
        memory,
    ]
    if "team" in shape.parameters:
        conditions.append(Job.team == bindparam("team"))
    if "job_id" in shape.parameters:
        conditions.append(Job.id == bindparam("job_id"))
    if "skipped" in shape.parameters:
        conditions.append(Job.seq.not_in(bindparam("skipped", expanding=True)))
    due = planning_is_due(bindparam("now", type_=Double))
    return [*conditions, due, _nothing_to_train()] if shape.all_trained else [*conditions, or_(due, has_ready_run())]


def _nothing_to_train() -> ColumnElement[bool]:
    live = select(Run.seq).where(Run.job_id == Job.id, Run.state.in_((RunState.QUEUED, RunState.LEASED))).limit(1)
    return or_(Job.limit_reached.is_not(None), live.scalar_subquery().is_(None))
