"""Metrics of the queue for Prometheus: gauges of its state, and counters from the events since an earlier reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, and_, case, func, select
from sqlalchemy.orm import Session

from tuner.jobs.states import JobState, RunState
from tuner.store.db.database import Repository, read_clock, reads
from tuner.store.db.models import Delivery, Event, Job, Run, Trial, Usage, Worker
from tuner.store.jobs.events import EventKind, latest_event_id
from tuner.store.jobs.workers import beats

WAIT_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)
"""Upper bounds of the histogram of waiting times, in seconds."""
WORKER_STATES = ("idle", "training", "draining", "lost")
_EXPIRED = "its lease expired"
"""Part of the reason that the reaper records."""


@dataclass(frozen=True, kw_only=True)
class TeamUsage:
    """What a team has used since it exists."""

    updates: int
    device_seconds: float


@dataclass(frozen=True, kw_only=True)
class QueueGauges:
    """The state of the queue."""

    jobs: Mapping[tuple[str, str], int]
    """By team and state."""
    runs: Mapping[tuple[str, str], int]
    """By team and state."""
    oldest_waiting_seconds: Mapping[str, float]
    """By team, over its queued runs and its jobs that have not been planned."""
    used: Mapping[str, TeamUsage]
    """By team."""
    workers: Mapping[str, int]
    """By state, one of `WORKER_STATES`; workers that have shut down are not counted."""
    deliveries: Mapping[str, int]
    """Webhook deliveries by state."""


@dataclass(frozen=True, kw_only=True)
class WaitHistogram:
    """How long runs were queued before a worker leased them."""

    cumulative: tuple[int, ...]
    """How many waited at most as long as each bound of `WAIT_BUCKETS`."""
    count: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class QueueCounters:
    """Counts over a range of events."""

    last_event: int
    """The range ends with it."""
    waits: Mapping[str, WaitHistogram]
    """By team."""
    lease_expiries: Mapping[str, int]
    """By team."""
    prunes: Mapping[str, int]
    """By the family of the pruned schedule."""


class QueueMetrics(Repository):
    """Counts made by the database."""

    @reads
    def gauges(self, session: Session) -> QueueGauges:
        """The present state."""
        now = read_clock(session)
        jobs = session.execute(select(Job.team, Job.state, func.count()).group_by(Job.team, Job.state))
        return QueueGauges(
            jobs={(team, state.value): count for team, state, count in jobs},
            runs=_runs(session),
            oldest_waiting_seconds={team: max(now - since, 0.0) for team, since in _waiting_since(session).items()},
            used=_used(session),
            workers=_workers(session, now=now),
            deliveries=_counts(session, select(Delivery.state, func.count()).group_by(Delivery.state)),
        )

    @reads
    def last_event(self, session: Session) -> int:
        """Id of the latest event; 0 when there is none."""
        return latest_event_id(session)

    @reads
    def counters(self, session: Session, *, after: int) -> QueueCounters:
        """Counts over the events after one. Called again with the returned `last_event`, it counts nothing twice."""
        # Counted from the events, not from the rows: a row shows only its latest state, and an event is counted once.
        last = latest_event_id(session)
        since = and_(Event.id > after, Event.id <= last)
        expiries = (
            select(Job.team, func.count())
            .select_from(Event)
            .join(Job, Job.id == Event.job_id)
            .where(since, Event.kind.in_((EventKind.RUN_REQUEUED.value, EventKind.RUN_FAILED.value)))
            .where(Event.data["reason"].as_string().contains(_EXPIRED))
            .group_by(Job.team)
        )
        prunes = (
            select(Trial.family, func.count())
            .select_from(Event)
            .join(Trial, and_(Trial.job_id == Event.job_id, Trial.number == Event.data["trial"].as_integer()))
            .where(since, Event.kind == EventKind.TRIAL_PRUNED.value)
            .group_by(Trial.family)
        )
        waited = Event.data["waited_seconds"].as_float()
        waits = (
            select(
                Job.team,
                func.count(),
                func.sum(waited),
                *(func.sum(case((waited <= bound, 1), else_=0)) for bound in WAIT_BUCKETS),
            )
            .select_from(Event)
            .join(Job, Job.id == Event.job_id)
            # Events of an earlier release hold no waiting time.
            .where(since, Event.kind == EventKind.RUN_STARTED.value, waited.is_not(None))
            .group_by(Job.team)
        )
        return QueueCounters(
            last_event=max(last, after),
            waits={row[0]: _histogram(row[1], row[2], row[3:]) for row in session.execute(waits)},
            lease_expiries=_counts(session, expiries),
            prunes=_counts(session, prunes),
        )


def _runs(session: Session) -> dict[tuple[str, str], int]:
    # Grouped by job first: an index-only scan of (job_id, state) serves that.
    of_jobs = (
        select(Run.job_id, Run.state.label("state"), func.count().label("runs"))
        .group_by(Run.job_id, Run.state)
        .subquery()
    )
    by_team = (
        select(Job.team, of_jobs.c.state, func.sum(of_jobs.c.runs))
        .join(Job, Job.id == of_jobs.c.job_id)
        .group_by(Job.team, of_jobs.c.state)
    )
    return {(team, state.value): int(count) for team, state, count in session.execute(by_team)}


def _waiting_since(session: Session) -> dict[str, float]:
    runs = (
        select(Job.team, func.min(Run.queued_at))
        .select_from(Run)
        .join(Job, Job.id == Run.job_id)
        .where(Run.state == RunState.QUEUED, Job.state.in_((JobState.QUEUED, JobState.RUNNING)))
        .group_by(Job.team)
    )
    jobs = select(Job.team, func.min(Job.created_at)).where(Job.state == JobState.QUEUED).group_by(Job.team)
    since: dict[str, float] = {}
    for query in (runs, jobs):
        for team, begun in session.execute(query):
            since[team] = min(begun, since.get(team, begun))
    return since


def _used(session: Session) -> dict[str, TeamUsage]:
    used = select(Usage.team, func.sum(Usage.updates), func.sum(Usage.device_seconds)).group_by(Usage.team)
    return {
        team: TeamUsage(updates=int(updates), device_seconds=float(seconds))
        for team, updates, seconds in session.execute(used)
    }


def _workers(session: Session, *, now: float) -> dict[str, int]:
    holds = select(Run.id).where(Run.state == RunState.LEASED, Run.worker == Worker.name).exists()
    found = session.execute(select(Worker.heartbeat_at, Worker.draining, holds).where(Worker.left_at.is_(None)))
    counts = dict.fromkeys(WORKER_STATES, 0)
    for heartbeat_at, draining, training in found:
        counts[worker_state(alive=beats(heartbeat_at, now=now), draining=draining, training=training)] += 1
    return counts


def worker_state(*, alive: bool, draining: bool, training: bool) -> str:
    """The state of a worker: the first that applies of lost, draining, training, idle."""
    if not alive:
        return "lost"
    if draining:
        return "draining"
    return "training" if training else "idle"


def _histogram(count: int, seconds: float, cumulative: Sequence[int]) -> WaitHistogram:
    return WaitHistogram(cumulative=tuple(int(below) for below in cumulative), count=int(count), seconds=float(seconds))


def _counts(session: Session, query: Select[str, int]) -> dict[str, int]:
    return {key: int(count) for key, count in session.execute(query).all()}
