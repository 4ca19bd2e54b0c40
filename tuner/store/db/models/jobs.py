"""Tables of jobs, their trials, events and reports."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tuner.jobs.states import JobState, TrialState
from tuner.metric import DEFAULT_METRIC
from tuner.search.decision.decisions import Role
from tuner.store.db.models.accounting import Account
from tuner.store.db.models.base import Base, Id, Name, Sequence, TeamName, enum_type


class Job(Base):
    """A job, its study lock, and whether planning is due."""

    __tablename__ = "tuner_jobs"
    __table_args__ = (
        UniqueConstraint("team", "idempotency_key"),
        ForeignKeyConstraint(["team", "owner"], [Account.team, Account.owner], name="fk_tuner_jobs_account"),
        CheckConstraint("(lock_token IS NULL) = (lock_expires_at IS NULL)", name="lock_is_whole"),
        CheckConstraint("lock_token IS NULL OR state IN ('queued', 'running')", name="lock_needs_open_job"),
        Index(None, "team", "owner", "state", "priority", "seq"),
        Index(None, "state", "seq"),
        Index(None, "team", "seq"),
        Index("ix_tuner_jobs_shared", "seq", sqlite_where=text("shared"), postgresql_where=text("shared")),
    )

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    state: Mapped[JobState] = mapped_column(enum_type(JobState))
    team: Mapped[str] = mapped_column(TeamName)
    owner: Mapped[str] = mapped_column(Name)
    shared: Mapped[bool]
    priority: Mapped[int] = mapped_column(Integer)
    """The rank of the priority class."""
    workload: Mapped[str] = mapped_column(Name)
    workload_version: Mapped[str] = mapped_column(Name)
    needs_device: Mapped[str] = mapped_column(String(16), server_default="any")
    needs_devices: Mapped[int] = mapped_column(Integer, server_default="1")
    needs_memory_bytes: Mapped[int | None]
    name: Mapped[str] = mapped_column(Name)
    spec: Mapped[dict[str, Any]]
    """The request. Team, priority, workload, resources, name and shared are copied into columns for queries."""
    metric: Mapped[dict[str, Any]] = mapped_column(server_default=DEFAULT_METRIC.model_dump_json())
    """The metric of its runs, as the workload declared it at submission."""
    origin: Mapped[str | None] = mapped_column(Id)
    idempotency_key: Mapped[str | None] = mapped_column(Name)
    request_digest: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of the request body, compared when its idempotency key is reused."""
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    error: Mapped[str | None]
    updates_spent: Mapped[int]
    updates_saved: Mapped[int] = mapped_column(server_default="0")
    device_seconds: Mapped[float]
    failed_attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    lost_attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    """Of its runs, together."""
    limit_reached: Mapped[str | None]
    best: Mapped[dict[str, Any] | None]
    """The trial that the study recommends, as of the last planning step."""
    plan_due: Mapped[bool]
    lock_token: Mapped[str | None] = mapped_column(Id)
    lock_owner: Mapped[str | None] = mapped_column(Name)
    lock_expires_at: Mapped[float | None]


class Trial(Base):
    """A trial: one configuration of a job's study."""

    __tablename__ = "tuner_trials"
    __table_args__ = (UniqueConstraint("job_id", "number"), UniqueConstraint("job_id", "optuna_number"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey(Job.id))
    number: Mapped[int] = mapped_column(Integer)
    optuna_number: Mapped[int | None] = mapped_column(Integer)
    role: Mapped[Role | None] = mapped_column(enum_type(Role))
    family: Mapped[str] = mapped_column(String(50))
    """Of its schedule, copied for counting."""
    state: Mapped[TrialState] = mapped_column(enum_type(TrialState))
    schedule: Mapped[dict[str, Any]]
    options: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    reason: Mapped[str]
    end_reason: Mapped[str | None]


class Report(Base):
    """The report of a completed job."""

    __tablename__ = "tuner_reports"

    job_id: Mapped[str] = mapped_column(Id, ForeignKey(Job.id), primary_key=True)
    report: Mapped[dict[str, Any]]
    created_at: Mapped[float]


class Event(Base):
    """An event of a job; ids ascend in the order of commits."""

    __tablename__ = "tuner_events"
    __table_args__ = (Index(None, "job_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Sequence, primary_key=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey(Job.id))
    kind: Mapped[str] = mapped_column(String(50))
    data: Mapped[dict[str, Any]]
    at: Mapped[float]
