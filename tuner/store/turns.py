"""Whose turn it is, read from the tables: which job a worker gets something of.

Asked for every claim, so it must not cost more with every job there is. For each account and class the first job with
something to do is looked up in an index that has them in order; what has nothing to do is hardly ever met: a job that
is open has a run ready, or planning due, or one of the few workers holds something of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select, tuple_
from sqlalchemy.orm import Session

from tuner.jobs.fairness import Account, Waiting, by_turn
from tuner.jobs.priority import Priority
from tuner.jobs.records import WorkerOffer
from tuner.jobs.states import JobState, RunState
from tuner.store import models
from tuner.store.clock import expired
from tuner.store.market import Market
from tuner.store.models import Job, Run, Worker


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A worker that asks for work, and when."""

    offer: WorkerOffer
    now: float
    """By the database's clock."""
    job_id: str | None
    """The only job that it asks for."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A job whose turn it is."""

    job_id: str
    may_train: bool
    """Whether its runs may be begun; otherwise it may only be planned."""


def turns(session: Session, asking: Asking, *, passed: Collection[str]) -> Iterator[Turn]:
    """The jobs that have something for a worker, the first of every account, in the order of their turns.

    Args:
        session: Of the transaction.
        asking: Who asks.
        passed: Ids of jobs not to look at.
    """
    standing = session.execute(
        select(Worker.draining, Worker.reserved_for).where(Worker.name == asking.offer.name)
    ).one_or_none()
    if standing is not None and standing.draining:
        return
    suits = suits_worker(asking.offer, reserved_for=None if standing is None else standing.reserved_for)
    if asking.job_id is not None:
        suits = and_(suits, Job.id == asking.job_id)
    if passed:
        suits = and_(suits, Job.id.not_in(passed))
    market: Market | None = None
    for priority in sorted(Priority, key=lambda priority: priority.rank, reverse=True):
        plan = planning_is_due(asking.now)
        found = _first_jobs(session, which=and_(suits, or_(plan, may_train())), rank=priority.rank)
        if not found:
            continue
        market = market or Market(session, now=asking.now)
        waiting: set[Account] = set()
        for job in by_turn(found, loads=market.loads):
            if market.waits_for(job.account) is None:
                yield Turn(job_id=job.job_id, may_train=True)
            else:
                waiting.add(job.account)
        if waiting:
            # Who has to wait may still have a job ended of which nothing is left to train.
            ending = _first_jobs(session, which=and_(suits, plan, _nothing_to_train()), rank=priority.rank)
            for job in by_turn((job for job in ending if job.account in waiting), loads=market.loads):
                yield Turn(job_id=job.job_id, may_train=False)


def suits_worker(offer: WorkerOffer, *, reserved_for: str | None) -> ColumnElement[bool]:
    """The jobs that a worker can work on: of exactly the versions that it offers, and with devices that suffice."""
    memory: ColumnElement[bool] = Job.needs_memory_bytes.is_(None)
    if offer.memory_bytes is not None:
        memory = or_(memory, Job.needs_memory_bytes <= offer.memory_bytes)
    suits = and_(
        tuple_(Job.workload, Job.workload_version).in_(list(offer.workloads.items())),
        Job.needs_device.in_(("any", offer.device_kind.value)),
        Job.needs_devices <= offer.devices,
        memory,
    )
    return suits if reserved_for is None else and_(suits, Job.team == reserved_for)


def planning_is_due(now: float) -> ColumnElement[bool]:
    """The open jobs that can be planned. A lock that has expired makes it due: nobody knows how far its holder came."""
    return or_(and_(Job.plan_due, Job.lock_token.is_(None)), expired(Job.lock_expires_at, now=now))


def may_train() -> ColumnElement[bool]:
    """The running jobs that have a run ready to be begun."""
    # Not EXISTS: PostgreSQL would sometimes answer that from a list of all runs that are ready.
    ready = select(Run.seq).where(Run.job_id == Job.id, Run.state == RunState.QUEUED).limit(1)
    return and_(Job.state == JobState.RUNNING, Job.limit_reached.is_(None), ready.scalar_subquery().is_not(None))


def _nothing_to_train() -> ColumnElement[bool]:
    live = select(Run.seq).where(Run.job_id == Job.id, Run.state.in_((RunState.QUEUED, RunState.LEASED))).limit(1)
    return or_(Job.limit_reached.is_not(None), live.scalar_subquery().is_(None))


def _first_jobs(session: Session, *, which: ColumnElement[bool], rank: int) -> list[Waiting]:
    """The oldest job of every account in a class."""
    # Not one query for both states: the index has the jobs of each in order, not those of both together.
    firsts = [
        select(Job.seq)
        .where(
            Job.team == models.Account.team,
            Job.owner == models.Account.owner,
            Job.state == state,
            # Not an equation, and ordered by: so that no other order than the index's will do, and PostgreSQL does
            # not read all jobs of all teams in the order of `seq` to come upon the first that fits.
            Job.priority.between(rank, rank),
            which,
        )
        .order_by(Job.priority, Job.seq)
        .limit(1)
        .correlate(models.Account)
        .scalar_subquery()
        for state in (JobState.QUEUED, JobState.RUNNING)
    ]
    accounts = select(models.Account.team, models.Account.owner, *firsts)
    first_of = {
        min(seqs): Account(team=team, owner=owner)
        for team, owner, *found in session.execute(accounts)
        if (seqs := [seq for seq in found if seq is not None])
    }
    jobs = select(Job.seq, Job.id).where(Job.seq.in_(first_of))
    return [
        Waiting(job_id=job_id, seq=seq, rank=rank, account=first_of[seq])
        for seq, job_id in (session.execute(jobs) if first_of else ())
    ]
