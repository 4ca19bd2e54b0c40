"""Whose turn it is, read from the tables: which job a worker gets something of.

Asked for every claim, so it must not cost more with every job there is. For each account and class the first job with
something to do is looked up in an index that has them in order; what has nothing to do is hardly ever met: a job that
is open has a run ready, or planning due, or one of the few workers holds something of it.
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
from tuner.jobs.scheduling.fairness import Account, Waiting, by_turn
from tuner.jobs.states import JobState, RunState
from tuner.store.db import models
from tuner.store.db.clock import expired
from tuner.store.db.models import Job, Run, Worker
from tuner.store.queue.fair_share import FairShare

_CLASSES = sorted(Priority, key=lambda priority: priority.rank, reverse=True)


@dataclass(frozen=True, kw_only=True)
class ClaimRequest:
    """A worker that asks for work, and when."""

    offer: WorkerOffer
    now: float
    """By the database's clock."""
    job_id: str | None
    """The only job that it asks for."""
    prefix_key: str | None = None
    """Of the run that it has trained last: of a job's runs, those with the same come first."""


@dataclass(frozen=True, kw_only=True)
class ClaimCandidate:
    """A job whose turn it is."""

    seq: int
    """The job's."""
    may_train: bool
    """Whether its runs may be begun; otherwise it may only be planned."""


def claim_candidates(
    session: Session, asking: ClaimRequest, *, passed: Collection[int] = ()
) -> Iterator[ClaimCandidate]:
    """The jobs that have something for a worker, the first of every account, in the order of their turns.

    Args:
        session: Of the transaction.
        asking: Who asks.
        passed: ``seq`` of jobs not to look at.
    """
    looked = _Look.of(session, asking, passed=passed)
    if looked is None:
        return
    fair_share = FairShare(session, now=asking.now)
    for priority in _CLASSES:
        found = looked.first_jobs(priority)
        if not found:
            continue
        waiting: set[Account] = set()
        for job in by_turn(found, loads=fair_share.loads):
            if fair_share.waits_for(job.account) is None:
                yield ClaimCandidate(seq=job.seq, may_train=True)
            else:
                waiting.add(job.account)
        if waiting:
            # Who has to wait may still have a job ended of which nothing is left to train.
            ending = looked.first_jobs(priority, ending=True)
            for job in by_turn((job for job in ending if job.account in waiting), loads=fair_share.loads):
                yield ClaimCandidate(seq=job.seq, may_train=False)


def has_candidates(session: Session, asking: ClaimRequest) -> bool:
    """Whether `turns` would give any: asked more cheaply, without whose turn it is first."""
    looked = _Look.of(session, asking, passed=())
    if looked is None:
        return False
    fair_share = FairShare(session, now=asking.now)
    for priority in _CLASSES:
        found = looked.first_jobs(priority)
        if any(fair_share.waits_for(job.account) is None for job in found):
            return True
        if found and looked.first_jobs(priority, ending=True):
            return True
    return False


def planning_is_due(now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """The open jobs that can be planned. A lock that has expired makes it due: nobody knows how far its holder came."""
    return or_(and_(Job.plan_due, Job.lock_token.is_(None)), expired(Job.lock_expires_at, now=now))


def may_train() -> ColumnElement[bool]:
    """The running jobs that have a run ready to be begun."""
    # Not EXISTS: PostgreSQL would sometimes answer that from a list of all runs that are ready.
    ready = select(Run.seq).where(Run.job_id == Job.id, Run.state == RunState.QUEUED).limit(1)
    return and_(Job.state == JobState.RUNNING, Job.limit_reached.is_(None), ready.scalar_subquery().is_not(None))


@dataclass(frozen=True)
class _Look:
    """One worker's look at the jobs that suit it."""

    session: Session
    shape: _Shape
    values: Mapping[str, Any]

    @classmethod
    def of(cls, session: Session, asking: ClaimRequest, *, passed: Collection[int]) -> _Look | None:
        """The look; ``None`` for a worker that is to drain."""
        offer = asking.offer
        standing = session.execute(
            select(Worker.draining, Worker.reserved_for).where(Worker.name == offer.name)
        ).one_or_none()
        if standing is not None and standing.draining:
            return None
        values = {
            "now": asking.now,
            "workloads": list(offer.workloads.items()),
            "kinds": ["any", offer.device_kind.value],
            "devices": offer.devices,
            "memory": offer.memory_bytes,
            "team": None if standing is None else standing.reserved_for,
            "job_id": asking.job_id,
            "passed": sorted(passed) or None,
        }
        given = frozenset(name for name, value in values.items() if value is not None)
        return cls(
            session, _Shape(given=given, ending=False), {name: value for name, value in values.items() if name in given}
        )

    def first_jobs(self, priority: Priority, *, ending: bool = False) -> list[Waiting]:
        """The oldest job with something to do of every account in a class.

        Args:
            priority: The class.
            ending: Only what can be planned and has nothing left to train.
        """
        statement = _first_jobs(replace(self.shape, ending=ending))
        found = self.session.execute(statement, {**self.values, "rank": priority.rank})
        return [
            Waiting(seq=min(seqs), rank=priority.rank, account=Account(team=team, owner=owner))
            for team, owner, *firsts in found
            if (seqs := [seq for seq in firsts if seq is not None])
        ]


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What distinguishes one statement from another; the rest are its parameters."""

    given: frozenset[str]
    """The parameters that there are."""
    ending: bool


@cache
def _first_jobs(shape: _Shape) -> Select[*tuple[Any, ...]]:
    """The oldest job of every account in a class, queued and running. Built once for all: building takes longer than
    PostgreSQL takes to answer.
    """
    which = _conditions(shape)
    # Not one query for both states: the index has the jobs of each in order, not those of both together.
    firsts = [
        select(Job.seq)
        .where(
            Job.team == models.Account.team,
            Job.owner == models.Account.owner,
            Job.state == state,
            # Not an equation, and ordered by: so that no other order than the index's will do, and PostgreSQL does
            # not read all jobs of all teams in the order of `seq` to come upon the first that fits.
            Job.priority.between(bindparam("rank", type_=Integer), bindparam("rank", type_=Integer)),
            *which,
        )
        .order_by(Job.priority, Job.seq)
        .limit(1)
        .correlate(models.Account)
        .scalar_subquery()
        for state in (JobState.QUEUED, JobState.RUNNING)
    ]
    return select(models.Account.team, models.Account.owner, *firsts)


def _conditions(shape: _Shape) -> list[ColumnElement[bool]]:
    """The jobs that a worker can work on, with devices that suffice, and that have something to do."""
    memory: ColumnElement[bool] = Job.needs_memory_bytes.is_(None)
    if "memory" in shape.given:
        memory = or_(memory, Job.needs_memory_bytes <= bindparam("memory"))
    which = [
        tuple_(Job.workload, Job.workload_version).in_(bindparam("workloads", expanding=True)),
        Job.needs_device.in_(bindparam("kinds", expanding=True)),
        Job.needs_devices <= bindparam("devices"),
        memory,
    ]
    if "team" in shape.given:
        which.append(Job.team == bindparam("team"))
    if "job_id" in shape.given:
        which.append(Job.id == bindparam("job_id"))
    if "passed" in shape.given:
        which.append(Job.seq.not_in(bindparam("passed", expanding=True)))
    due = planning_is_due(bindparam("now", type_=Double))
    return [*which, due, _nothing_to_train()] if shape.ending else [*which, or_(due, may_train())]


def _nothing_to_train() -> ColumnElement[bool]:
    live = select(Run.seq).where(Run.job_id == Job.id, Run.state.in_((RunState.QUEUED, RunState.LEASED))).limit(1)
    return or_(Job.limit_reached.is_not(None), live.scalar_subquery().is_(None))
