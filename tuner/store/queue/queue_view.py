"""The queue as people see it: the position of each open job, the reason, and the shares of the teams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from tuner.jobs.priority import Priority
from tuner.jobs.records import Pace, QueueEntry, TeamShare
from tuner.jobs.scheduling.obstacles import obstacle
from tuner.jobs.scheduling.preemption import Needs
from tuner.jobs.scheduling.serving_order import UNMEASURED_SECONDS, Account, WaitingJob, queue_order
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState, RunState, is_terminal
from tuner.people.permissions import Visibility
from tuner.store.db import models
from tuner.store.db.database import read_clock
from tuner.store.db.models import Job, Run
from tuner.store.db.rows import workload_info
from tuner.store.jobs.workers import find_workload, read_workers
from tuner.store.queue.fair_share import FairShare
from tuner.store.queue.next_job import planning_is_due

_OPEN = tuple(state for state in JobState if not is_terminal(state))
_MAX_TEAMS_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class _LiveRuns:
    """The queued and leased runs of a job."""

    ready: int = 0
    oldest_ready_at: float | None = None
    ready_steps: int = 0
    """Steps of the shortest ready run."""
    leased: int = 0


@dataclass(frozen=True, kw_only=True)
class _OpenJob:
    """An open job, and what blocks it, if anything does."""

    row: Row[*tuple[Any, ...]]
    runs: _LiveRuns
    waits: bool
    """Whether a run or the planning of it waits for a worker."""
    obstacle: str | None


def read_queue_view(session: Session, *, visibility: Visibility) -> tuple[QueueEntry, ...]:
    """The visible open jobs: in scheduling order, then those that wait for nothing."""
    now = read_clock(session)
    fair_share = FairShare(session, now=now)
    open_jobs = _read_open_jobs(session, fair_share=fair_share, now=now)
    paces = _mean_paces(session)
    waiting = {
        job.row.seq: WaitingJob(
            seq=job.row.seq,
            rank=job.row.priority,
            account=Account(team=job.row.team, owner=job.row.owner),
            expected_seconds=_expected(job, paces=paces),
        )
        for job in open_jobs.values()
        if job.waits
    }
    ready = [job for job in waiting.values() if open_jobs[job.seq].obstacle is None]
    blocked = [job for job in waiting.values() if open_jobs[job.seq].obstacle is not None]
    order = [job.seq for part in (ready, blocked) for job in queue_order(part, loads=fair_share.loads)]
    rest = sorted(open_jobs.keys() - waiting.keys(), key=lambda key: (-open_jobs[key].row.priority, key))
    ahead: Counter[str] = Counter()
    entries = []
    for position, seq in enumerate(order, start=1):
        job = open_jobs[seq]
        line = _place(job, ahead=ahead) if ahead or job.obstacle is None else None
        reason = "; ".join(part for part in (line, job.obstacle) if part)
        entries.append(_entry(job, position=position, reason=reason, now=now))
        ahead[job.row.team] += 1
    entries += [_entry(open_jobs[seq], position=None, reason=_idle_reason(open_jobs[seq]), now=now) for seq in rest]
    if visibility.teams is None:
        return tuple(entries)
    shared = {job.row.id for job in open_jobs.values() if job.row.shared}
    return tuple(entry for entry in entries if entry.team in visibility.teams or entry.job_id in shared)


def read_shares(session: Session) -> tuple[TeamShare, ...]:
    """The device time in the window of each team that exists or has submitted, by name."""
    fair_share = FairShare(session, now=read_clock(session))
    counted = select(Job.team, func.count().label("jobs")).where(Job.state.in_(_OPEN)).group_by(Job.team)
    open_jobs = {row.team: row.jobs for row in session.execute(counted)}
    submitted = session.scalars(select(models.Account.team).distinct())
    names = sorted({*fair_share.settings, *submitted})
    total = sum(fair_share.loads.of_team(name) for name in names)
    return tuple(
        TeamShare(
            team=name,
            weight=fair_share.loads.weight(name),
            device_seconds=(used := fair_share.loads.of_team(name)),
            share=used / total if total else 0.0,
            running_runs=fair_share.running_of(name),
            open_jobs=open_jobs.get(name, 0),
        )
        for name in names
    )


def read_obstacle(session: Session, spec: JobSpec, *, owner: str) -> str | None:
    """Why a job that is submitted now would not be trained; ``None`` where a worker can train it, once it is free."""
    now = read_clock(session)
    needs = Needs(
        team=spec.team,
        workload=spec.workload,
        version=workload_info(find_workload(session, spec.workload)).version,
        device=spec.resources.device,
        devices=spec.resources.devices,
        memory_bytes=spec.resources.memory_bytes,
    )
    limit = FairShare(session, now=now).blocking_limit(Account(team=spec.team, owner=owner))
    return limit or obstacle(needs, workers=read_workers(session, now=now))


def read_paces(session: Session, *, workload: str, version: str) -> tuple[Pace, ...]:
    """The measured pace of a workload, by device model."""
    measured = (
        select(models.Pace)
        .where(models.Pace.workload == workload, models.Pace.version == version)
        .order_by(models.Pace.device_model)
    )
    return tuple(
        Pace(
            workload=pace.workload,
            version=pace.version,
            device_model=pace.device_model,
            seconds_per_update=pace.device_seconds / pace.updates,
            updates=pace.updates,
        )
        for pace in session.scalars(measured)
    )


def _read_open_jobs(session: Session, *, fair_share: FairShare, now: float) -> Mapping[int, _OpenJob]:
    workers = read_workers(session, now=now)
    runs = _live_runs(session)
    query = select(
        *(Job.id, Job.seq, Job.name, Job.team, Job.owner, Job.shared, Job.priority, Job.state, Job.created_at),
        *(Job.workload, Job.workload_version, Job.needs_device, Job.needs_devices, Job.needs_memory_bytes),
        *(Job.limit_reached, Job.lock_token, planning_is_due(now).label("due")),
    ).where(Job.state.in_(_OPEN))
    limits: dict[Account, str | None] = {}
    missing: dict[Needs, str | None] = {}
    open_jobs = {}
    for row in session.execute(query):
        account = Account(team=row.team, owner=row.owner)
        if account not in limits:
            limits[account] = fair_share.blocking_limit(account)
        needs = _needs(row)
        if needs not in missing:
            missing[needs] = obstacle(needs, workers=workers)
        live = runs.get(row.id, _LiveRuns())
        ready = live.ready > 0 and row.state is JobState.RUNNING and row.limit_reached is None
        open_jobs[row.seq] = _OpenJob(
            row=row,
            runs=live,
            waits=ready or (bool(row.due) and row.state is not JobState.PAUSED),
            obstacle=limits[account] or missing[needs],
        )
    return open_jobs


def _live_runs(session: Session) -> dict[str, _LiveRuns]:
    # One pass over the queued and leased runs, by the index on state; the ended runs, which are many, are not read.
    live = (
        select(
            Run.job_id,
            func.count().filter(Run.state == RunState.QUEUED).label("ready"),
            func.min(Run.queued_at).filter(Run.state == RunState.QUEUED).label("oldest_ready_at"),
            func.min(Run.total_steps).filter(Run.state == RunState.QUEUED).label("ready_steps"),
            func.count().filter(Run.state == RunState.LEASED).label("leased"),
        )
        .where(Run.state.in_((RunState.QUEUED, RunState.LEASED)))
        .group_by(Run.job_id)
    )
    return {
        row.job_id: _LiveRuns(
            ready=row.ready,
            oldest_ready_at=row.oldest_ready_at,
            ready_steps=row.ready_steps or 0,
            leased=row.leased,
        )
        for row in session.execute(live)
    }


def _mean_paces(session: Session) -> dict[tuple[str, str], float]:
    """Mean device seconds of an update by workload and version, over all device models."""
    sums = select(
        models.Pace.workload,
        models.Pace.version,
        (func.sum(models.Pace.device_seconds) / func.sum(models.Pace.updates)).label("seconds"),
    ).group_by(models.Pace.workload, models.Pace.version)
    return {(row.workload, row.version): float(row.seconds) for row in session.execute(sums)}


def _needs(row: Row[*tuple[Any, ...]]) -> Needs:
    return Needs(
        team=row.team,
        workload=row.workload,
        version=row.workload_version,
        device=row.needs_device,
        devices=row.needs_devices,
        memory_bytes=row.needs_memory_bytes,
    )


def _expected(job: _OpenJob, *, paces: Mapping[tuple[str, str], float]) -> float:
    pace = paces.get((job.row.workload, job.row.workload_version))
    if pace is None or not job.runs.ready_steps:
        return UNMEASURED_SECONDS * float(job.row.needs_devices)
    return float(pace * job.runs.ready_steps)


def _place(job: _OpenJob, *, ahead: Counter[str]) -> str:
    """Where a job stands in the queue; of one that trains, where its next run stands."""
    place = _jobs_ahead(ahead, team=job.row.team)
    training = job.runs.leased
    if not training:
        return place
    return f"{training} run{' of it trains' if training == 1 else 's of it train'}; its next run is {place}"


def _jobs_ahead(ahead: Counter[str], *, team: str) -> str:
    """``"behind 3 jobs of team vision and 1 job of its own team"``."""
    if not ahead:
        return "next in the queue"
    most = ahead.most_common(_MAX_TEAMS_NAMED)
    named = [f"{_jobs(jobs)} of {'its own team' if name == team else f'team {name}'}" for name, jobs in most]
    others = ahead.total() - sum(jobs for _, jobs in most)
    if others:
        named.append(f"{_jobs(others)} of other teams")
    return f"behind {_enumerate_words(named)}"


def _jobs(number: int) -> str:
    return f"{number} job{'s' if number > 1 else ''}"


def _enumerate_words(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _idle_reason(job: _OpenJob) -> str:
    """Why a job waits for nothing."""
    if job.row.state is JobState.PAUSED:
        return "it is paused"
    if job.row.lock_token is not None:
        return "it is being planned"
    return "everything that is ready of it is being trained"


def _entry(job: _OpenJob, *, position: int | None, reason: str, now: float) -> QueueEntry:
    row, runs = job.row, job.runs
    since = row.created_at if row.state is JobState.QUEUED else (runs.oldest_ready_at or now)
    return QueueEntry(
        job_id=row.id,
        name=row.name,
        team=row.team,
        owner=row.owner,
        priority=Priority.of_rank(row.priority),
        state=row.state,
        position=position,
        running_runs=runs.leased,
        reason=reason,
        waiting_seconds=max(0.0, now - since),
    )
