"""Workers, and the workloads that they offer."""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, true, update
from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.jobs.records import EVERYTHING, Visibility, WorkerOffer, WorkerRecord, WorkloadInfo
from tuner.jobs.states import RunState
from tuner.store.database import Part, Tx, read_clock, reads, writes
from tuner.store.job_list import visible
from tuner.store.models import Job, Run, Worker, Workload
from tuner.store.rows import info_json, worker_record, workload_info
from tuner.store.upsert import upsert

WORKER_TIMEOUT_SECONDS = 60.0
"""A worker that has not been heard of for longer is taken for dead."""


class Fleet(Part):
    """Who is there to train, and what they can train."""

    @writes
    def announce(self, tx: Tx, offer: WorkerOffer, *, workloads: Sequence[WorkloadInfo]) -> None:
        """Enter a worker that starts, and what it offers; an earlier worker of that name is replaced.

        What people have decided about it, a reservation or that it drains, stays. The latest word on a workload holds
        for all. Workloads stay known when their workers leave.
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
        """Say that a worker is alive. Nothing happens for one that is not announced."""
        tx.session.execute(update(Worker).where(Worker.name == name).values(heartbeat_at=tx.now))

    @writes
    def retire(self, tx: Tx, name: str) -> None:
        """Note that a worker stops."""
        tx.session.execute(update(Worker).where(Worker.name == name).values(left_at=tx.now))

    @reads
    def workers(self, session: Session, *, visibility: Visibility = EVERYTHING) -> tuple[WorkerRecord, ...]:
        """All workers that were ever announced and not forgotten, by name.

        Args:
            visibility: Of the runs that they hold, only those of jobs that whoever asks may see are told.
        """
        return _read_workers(session, true(), visibility=visibility)

    @reads
    def worker(self, session: Session, name: str, *, visibility: Visibility = EVERYTHING) -> WorkerRecord:
        """One worker.

        Args:
            name: The worker.
            visibility: As for `workers`.

        Raises:
            NotFound: There is none of that name.
        """
        found = _read_workers(session, Worker.name == name, visibility=visibility)
        if not found:
            raise NotFound("worker", key=name, hint="GET /v1/workers lists them")
        return found[0]

    @reads
    def workloads(self, session: Session) -> tuple[WorkloadInfo, ...]:
        """All workloads that were ever announced, by name."""
        return tuple(workload_info(row) for row in session.scalars(select(Workload).order_by(Workload.name)))

    @reads
    def workload(self, session: Session, name: str) -> WorkloadInfo:
        """One workload.

        Raises:
            NotFound: No worker has announced it; the message lists those that are known.
        """
        return workload_info(find_workload(session, name))


def _read_workers(session: Session, which: ColumnElement[bool], *, visibility: Visibility) -> tuple[WorkerRecord, ...]:
    now = read_clock(session)
    held = defaultdict(list)
    seen = select(Run.worker, Run.id).join(Job, Job.id == Run.job_id).where(visible(visibility))
    for worker, run_id in session.execute(seen.where(Run.state == RunState.LEASED).order_by(Run.seq)):
        held[worker].append(run_id)
    return tuple(
        worker_record(worker, runs=held[worker.name], alive_since=now - WORKER_TIMEOUT_SECONDS)
        for worker in session.scalars(select(Worker).where(which).order_by(Worker.name))
    )


def find_workload(session: Session, name: str) -> Workload:
    """A workload's row.

    Raises:
        NotFound: No worker has announced it; the message lists those that are known.
    """
    workload = session.get(Workload, name)
    if workload is None:
        known = ", ".join(session.scalars(select(Workload.name).order_by(Workload.name)))
        hint = f"Known are: {known}" if known else "No worker has announced any yet: start one with `tuner worker`"
        raise NotFound("workload", key=name, hint=hint)
    return workload
