"""Workers and the workloads that they announce."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from enum import Enum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tuner.errors import IllegalTransition, NotFound
from tuner.jobs.records import WorkerOffer, WorkerRecord, WorkloadInfo
from tuner.jobs.spec import DEFAULT_TEAM
from tuner.jobs.states import RunState
from tuner.people.permissions import EVERYTHING, LOCAL_ACTOR, Actor, Visibility
from tuner.store.db.clock import happened_within
from tuner.store.db.database import Repository, Tx, read_clock, reads, writes
from tuner.store.db.models import Job, Run, Team, Worker, Workload
from tuner.store.db.rows import info_json, worker_record, workload_info
from tuner.store.db.upsert import upsert
from tuner.store.jobs.visibility import visible_jobs

WORKER_TIMEOUT_SECONDS = 60.0
"""A worker without a heartbeat for longer counts as dead."""


class Unset(Enum):
    """The default of an argument for which ``None`` is a value."""

    UNSET = "unset"


class Workers(Repository):
    """The workers, and the workloads that they can train."""

    @writes
    def announce(self, tx: Tx, offer: WorkerOffer, *, workloads: Sequence[WorkloadInfo]) -> None:
        """Register a worker that starts, and its workloads; it replaces an earlier worker of that name.

        Its settings, reservation and draining, are kept. The latest announcement of a workload replaces earlier ones.
        Workloads stay known after their workers shut down.
        """
        worker = {**dataclasses.asdict(offer), "started_at": tx.now, "heartbeat_at": tx.now, "left_at": None}
        upsert(tx.session, Worker, rows=[worker])
        offers = [
            {"name": info.name, "version": info.version, "info": info_json(info), "announced_at": tx.now}
            for info in sorted(workloads, key=lambda info: info.name)
        ]
        upsert(tx.session, Workload, rows=offers)

    @writes
    def beat(self, tx: Tx, name: str) -> None:
        """Record a worker's heartbeat; a worker that is not registered is ignored."""
        tx.session.execute(update(Worker).where(Worker.name == name).values(heartbeat_at=tx.now))

    @writes
    def retire(self, tx: Tx, name: str) -> None:
        """Record that a worker shuts down."""
        tx.session.execute(update(Worker).where(Worker.name == name).values(left_at=tx.now))

    @reads
    def workers(self, session: Session, *, visibility: Visibility = EVERYTHING) -> tuple[WorkerRecord, ...]:
        """All registered workers, by name.

        Args:
            visibility: Of their leased runs, only those of these jobs are listed.
        """
        return read_workers(session, now=read_clock(session), visibility=visibility)

    @reads
    def worker(self, session: Session, name: str, *, visibility: Visibility = EVERYTHING) -> WorkerRecord:
        """One worker.

        Args:
            name: Its name.
            visibility: Of its leased runs, only those of these jobs are listed.

        Raises:
            NotFound: No worker of this name is registered.
        """
        return _worker(session, name, visibility=visibility)

    @writes
    def set_worker(
        self,
        tx: Tx,
        name: str,
        *,
        draining: bool | None = None,
        reserved_for: str | Unset | None = Unset.UNSET,
        by: Actor = LOCAL_ACTOR,
    ) -> WorkerRecord:
        """Change a worker's settings; they persist when the worker restarts.

        Args:
            name: Its name.
            draining: Whether it finishes its run and claims no other; ``None`` leaves it unchanged.
            reserved_for: The only team whose jobs it claims, ``None`` for all; unchanged when absent.
            by: The actor.

        Raises:
            NotFound: There is no such worker, or no such team.
        """
        row = _lock_worker(tx, name)
        changed: dict[str, bool | str | None] = {}
        if draining is not None:
            changed["draining"] = row.draining = draining
        if not isinstance(reserved_for, Unset):
            if reserved_for is not None:
                _check_team(tx, reserved_for)
            changed["reserved_for"] = row.reserved_for = reserved_for
        tx.audit(by, "worker.change", target=name, team=row.reserved_for, **changed)
        tx.session.flush()
        return _worker(tx.session, name)

    @writes
    def forget(self, tx: Tx, name: str, *, by: Actor = LOCAL_ACTOR) -> None:
        """Delete a worker that is gone.

        Raises:
            NotFound: There is no such worker.
            IllegalTransition: The worker is alive, or holds leases that the reaper has not freed.
        """
        row = _lock_worker(tx, name)
        record = _worker(tx.session, name)
        if record.alive or record.runs:
            state = "alive" if record.alive else "holding runs"
            raise IllegalTransition("worker", key=name, state=state, wanted="forgotten")
        tx.session.delete(row)
        tx.audit(by, "worker.forget", target=name, team=row.reserved_for)

    @reads
    def workloads(self, session: Session) -> tuple[WorkloadInfo, ...]:
        """All announced workloads, by name."""
        return tuple(workload_info(row) for row in session.scalars(select(Workload).order_by(Workload.name)))

    @reads
    def workload(self, session: Session, name: str) -> WorkloadInfo:
        """One workload.

        Raises:
            NotFound: No worker has announced it; the message lists the known workloads.
        """
        return workload_info(find_workload(session, name))


def read_workers(
    session: Session, *, now: float, visibility: Visibility = EVERYTHING, name: str | None = None
) -> tuple[WorkerRecord, ...]:
    """Workers by name, or the one of a name.

    Args:
        session: Of the transaction.
        now: By the database's clock.
        visibility: Of their leased runs, only those of these jobs are listed.
        name: Only this worker.
    """
    held = select(Run.worker, Run.id).join(Job, Job.id == Run.job_id)
    held = held.where(Run.state == RunState.LEASED, visible_jobs(visibility)).order_by(Run.seq)
    query = select(Worker).order_by(Worker.name)
    if name is not None:
        held, query = held.where(Run.worker == name), query.where(Worker.name == name)
    runs = defaultdict(list)
    for worker, run_id in session.execute(held):
        runs[worker].append(run_id)
    return tuple(
        worker_record(
            worker, runs=runs[worker.name], alive=worker.left_at is None and beats(worker.heartbeat_at, now=now)
        )
        for worker in session.scalars(query)
    )


def beats(heartbeat_at: float, *, now: float) -> bool:
    """Whether a worker's last heartbeat shows that it is alive; one from a clock that was ahead shows nothing."""
    return happened_within(WORKER_TIMEOUT_SECONDS, heartbeat_at, now=now)


def _worker(session: Session, name: str, *, visibility: Visibility = EVERYTHING) -> WorkerRecord:
    for worker in read_workers(session, now=read_clock(session), visibility=visibility, name=name):
        return worker
    raise NotFound("worker", key=name, hint="GET /v1/workers lists them")


def _lock_worker(tx: Tx, name: str) -> Worker:
    row = tx.session.scalar(select(Worker).where(Worker.name == name).with_for_update())
    if row is None:
        raise NotFound("worker", key=name, hint="GET /v1/workers lists them")
    return row


def _check_team(tx: Tx, team: str) -> None:
    """Refuse an unknown team; without any teams there is the one of all jobs."""
    known = tx.session.scalars(select(Team.name)).all() or [DEFAULT_TEAM]
    if team not in known:
        raise NotFound("team", key=team, hint="GET /v1/teams lists them")


def find_workload(session: Session, name: str) -> Workload:
    """A workload's row.

    Raises:
        NotFound: No worker has announced it; the message lists the known workloads.
    """
    workload = session.get(Workload, name)
    if workload is None:
        known = ", ".join(session.scalars(select(Workload.name).order_by(Workload.name)))
        hint = f"Known are: {known}" if known else "No worker has announced any yet: start one with `tuner worker`"
        raise NotFound("workload", key=name, hint=hint)
    return workload
