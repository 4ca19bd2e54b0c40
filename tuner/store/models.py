"""The tables. Their rows never leave the store: what leaves are the records of `tuner.jobs.records`.

Everything carries the prefix ``tuner_``, because Optuna's tables live in the same database. Times are seconds since
1970 UTC by the database's clock. A row's ``seq`` is its place in the order of arrival; its ``id`` is what the world
knows it by. A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tuner.jobs.records import RunKind
from tuner.jobs.states import JobState, RunState, TrialState

PREFIX = "tuner_"
"""Tables with this prefix are ours; all others in the database are somebody else's."""

Id = String(36)
Name = String(200)
# SQLite numbers rows by itself only in a column of exactly this type.
Sequence = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """Every table of ours."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {float: Double, int: BigInteger, str: Text, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


def _member(enum: type[Enum]) -> EnumType:
    """A column of an enum's values: plain text, so that a new member needs no migration."""
    return EnumType(enum, native_enum=False, length=16, values_callable=lambda members: [m.value for m in members])


class Workload(Base):
    """What workers have told about a workload, the latest word."""

    __tablename__ = "tuner_workloads"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    version: Mapped[str] = mapped_column(Name)
    info: Mapped[dict[str, Any]]
    announced_at: Mapped[float]


class Worker(Base):
    """A worker that is at work, or was killed at it."""

    __tablename__ = "tuner_workers"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    device: Mapped[str] = mapped_column(Name)
    workloads: Mapped[list[str]]
    started_at: Mapped[float]
    heartbeat_at: Mapped[float]


class Job(Base):
    """A job, its study lock, and whether planning is due."""

    __tablename__ = "tuner_jobs"
    __table_args__ = (
        UniqueConstraint("team", "idempotency_key"),
        CheckConstraint("(lock_token IS NULL) = (lock_expires_at IS NULL)", name="lock_is_whole"),
        CheckConstraint("lock_token IS NULL OR state IN ('queued', 'running')", name="lock_needs_open_job"),
        Index(None, "state", "priority", "seq"),
    )

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    state: Mapped[JobState] = mapped_column(_member(JobState))
    team: Mapped[str] = mapped_column(String(100))
    priority: Mapped[int] = mapped_column(Integer)
    workload: Mapped[str] = mapped_column(Name)
    workload_version: Mapped[str] = mapped_column(Name)
    spec: Mapped[dict[str, Any]]
    idempotency_key: Mapped[str | None] = mapped_column(Name)
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    error: Mapped[str | None]
    updates_spent: Mapped[int]
    plan_due: Mapped[bool]
    lock_token: Mapped[str | None] = mapped_column(Id)
    lock_owner: Mapped[str | None] = mapped_column(Name)
    lock_expires_at: Mapped[float | None]


class Trial(Base):
    """A trial: one schedule of a job's study."""

    __tablename__ = "tuner_trials"
    __table_args__ = (UniqueConstraint("job_id", "number"), UniqueConstraint("job_id", "optuna_number"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey(Job.id))
    number: Mapped[int] = mapped_column(Integer)
    optuna_number: Mapped[int] = mapped_column(Integer)
    cohort: Mapped[int] = mapped_column(Integer)
    control: Mapped[str | None] = mapped_column(String(50))
    state: Mapped[TrialState] = mapped_column(_member(TrialState))
    schedule: Mapped[dict[str, Any]]
    reason: Mapped[str]
    end_reason: Mapped[str | None]


class Run(Base):
    """A run, and the lease on it."""

    __tablename__ = "tuner_runs"
    __table_args__ = (
        UniqueConstraint("trial_id", "kind", "rung", "seed"),
        CheckConstraint("(state = 'leased') = (lease_token IS NOT NULL)", name="lease_means_leased"),
        CheckConstraint("(lease_token IS NULL) = (lease_expires_at IS NULL)", name="lease_is_whole"),
        CheckConstraint("(state = 'succeeded') = (loss IS NOT NULL)", name="loss_means_succeeded"),
        Index(None, "job_id", "seq"),
        Index(None, "state", "lease_expires_at"),
    )

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey(Job.id))
    trial_id: Mapped[str] = mapped_column(Id, ForeignKey(Trial.id))
    trial_number: Mapped[int] = mapped_column(Integer)
    kind: Mapped[RunKind] = mapped_column(_member(RunKind))
    rung: Mapped[int] = mapped_column(Integer)
    seed: Mapped[int]
    total_steps: Mapped[int]
    schedule: Mapped[dict[str, Any]]
    state: Mapped[RunState] = mapped_column(_member(RunState))
    reason: Mapped[str]
    attempts: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str | None] = mapped_column(Name)
    lease_token: Mapped[str | None] = mapped_column(Id)
    lease_expires_at: Mapped[float | None]
    step: Mapped[int]
    updates: Mapped[int]
    loss: Mapped[float | None]
    error: Mapped[str | None]
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]


class Point(Base):
    """One evaluation of a run."""

    __tablename__ = "tuner_curve_points"

    run_id: Mapped[str] = mapped_column(Id, ForeignKey(Run.id), primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    lr: Mapped[float]
    train_loss: Mapped[float | None]
    val_loss: Mapped[float | None]
    """NULL for NaN, which SQLite cannot store."""


class Snapshot(Base):
    """The latest snapshot of a run."""

    __tablename__ = "tuner_snapshots"

    run_id: Mapped[str] = mapped_column(Id, ForeignKey(Run.id), primary_key=True)
    step: Mapped[int]
    path: Mapped[str]
    saved_at: Mapped[float]


class Event(Base):
    """Something that happened to a job; ids rise in the order of commits."""

    __tablename__ = "tuner_events"
    __table_args__ = (Index(None, "job_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Sequence, primary_key=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey(Job.id))
    kind: Mapped[str] = mapped_column(String(50))
    data: Mapped[dict[str, Any]]
    at: Mapped[float]


class Report(Base):
    """The answer of a completed job."""

    __tablename__ = "tuner_reports"

    job_id: Mapped[str] = mapped_column(Id, ForeignKey(Job.id), primary_key=True)
    report: Mapped[dict[str, Any]]
    created_at: Mapped[float]
