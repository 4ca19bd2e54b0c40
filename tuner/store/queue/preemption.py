"""Requests runs to stop for more urgent jobs; `tuner.jobs.scheduling.preemption` chooses which."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from tuner.jobs.priority import Priority
from tuner.jobs.scheduling.preemption import Demand, HeldRun, Needs, Victim, choose_victims
from tuner.jobs.scheduling.serving_order import Account
from tuner.jobs.states import JobState, RunState
from tuner.store.db.database import Tx
from tuner.store.db.models import Job, Run
from tuner.store.jobs.events import EventKind
from tuner.store.jobs.transitions import emit_run_event
from tuner.store.jobs.workers import read_workers
from tuner.store.queue.fair_share import FairShare
from tuner.store.queue.next_job import has_ready_run, planning_is_due


def find_victims(session: Session, *, now: float) -> tuple[Victim, ...]:
    """The runs that must stop now for jobs of the highest class."""
    demands = _demands(session, now=now)
    if not demands:
        return ()
    # Every leased run, not only those of lower classes: also the others keep their workers busy.
    held = [
        HeldRun(
            run_id=row.id,
            team=row.team,
            rank=row.priority,
            started_at=row.started_at,
            worker=row.worker,
            stopping=row.stop_reason is not None or row.job_state is JobState.PAUSED or row.limit_reached is not None,
        )
        for row in session.execute(
            select(
                *(Run.id, Run.worker, Run.started_at, Run.stop_reason),
                *(Job.team, Job.priority, Job.state.label("job_state"), Job.limit_reached),
            )
            .join(Job, Job.id == Run.job_id)
            .where(Run.state == RunState.LEASED)
        )
    ]
    workers = [worker for worker in read_workers(session, now=now) if worker.alive]
    live = {worker.name for worker in workers}
    return choose_victims(
        demands,
        workers=workers,
        held=[run for run in held if run.worker in live],
        loads=FairShare(session, now=now).loads,
    )


def request_stop(tx: Tx, victim: Victim) -> bool:
    """Mark a run to stop. One that has ended or is locked is skipped: the next call may find it again."""
    query = select(Run).where(Run.id == victim.run_id, Run.state == RunState.LEASED, Run.stop_reason.is_(None))
    run = tx.session.scalar(query.with_for_update(skip_locked=True, key_share=True))
    if run is None:
        return False
    run.stop_reason = f"pre-empted by job {victim.for_job}"
    emit_run_event(tx, EventKind.RUN_STOPPING, run, reason=run.stop_reason)
    return True


def _demands(session: Session, *, now: float) -> list[Demand]:
    ready = (
        select(func.count())
        .select_from(Run)
        .where(Run.job_id == Job.id, Run.state == RunState.QUEUED)
        .scalar_subquery()
    )
    urgent = (
        select(
            *(Job.id, Job.seq, Job.team, Job.owner, Job.priority, Job.workload, Job.workload_version),
            *(Job.needs_device, Job.needs_devices, Job.needs_memory_bytes, ready.label("ready")),
        )
        .where(
            Job.state.in_((JobState.QUEUED, JobState.RUNNING)),
            Job.priority == Priority.HIGH.rank,
            or_(planning_is_due(now), has_ready_run()),
        )
        .order_by(Job.seq)
    )
    rows = session.execute(urgent).all()
    if not rows:
        return []
    fair_share = FairShare(session, now=now)
    promised = Counter[Account]()
    demands = []
    for row in rows:
        account = Account(team=row.team, owner=row.owner)
        if fair_share.blocking_limit(account) is not None:
            continue
        runs = int(min(max(1, row.ready), fair_share.free_slots(account, promised=promised)))
        if runs == 0:
            continue
        promised[account] += runs
        needs = Needs(
            team=row.team,
            workload=row.workload,
            version=row.workload_version,
            device=row.needs_device,
            devices=row.needs_devices,
            memory_bytes=row.needs_memory_bytes,
        )
        demands.append(Demand(job_id=row.id, seq=row.seq, rank=row.priority, needs=needs, runs=runs))
    return demands
