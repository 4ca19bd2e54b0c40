"""Tables of runs: the lease, the curve, the snapshot and the log of each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tuner.jobs.states import RunState
from tuner.store.db.models.base import Base, Id, Name, Sequence, enum_type
from tuner.store.db.models.jobs import Job, Trial


class Run(Base):
    """A run, and the lease on it."""

    __tablename__ = "tuner_runs"
    __table_args__ = (
        UniqueConstraint("trial_id", "seed", "total_steps"),
        CheckConstraint("(state = 'leased') = (lease_token IS NOT NULL)", name="lease_means_leased"),
        CheckConstraint("(lease_token IS NULL) = (lease_expires_at IS NULL)", name="lease_is_whole"),
        CheckConstraint("(state = 'succeeded') = (loss IS NOT NULL)", name="loss_means_succeeded"),
        Index(None, "job_id", "seq"),
        Index(None, "job_id", "state"),
        Index(None, "state", "lease_expires_at"),
    )

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey(Job.id))
    trial_id: Mapped[str] = mapped_column(Id, ForeignKey(Trial.id))
    trial_number: Mapped[int] = mapped_column(Integer)
    seed: Mapped[int]
    total_steps: Mapped[int]
    schedule: Mapped[dict[str, Any]]
    prefix_key: Mapped[str | None] = mapped_column(String(16))
    """Equal for runs that are likely to share a prefix of learning rates."""
    state: Mapped[RunState] = mapped_column(enum_type(RunState))
    reason: Mapped[str]
    alternatives: Mapped[list[dict[str, Any]]] = mapped_column(server_default="[]")
    """What the plan considered beside it."""
    attempts: Mapped[int] = mapped_column(Integer)
    """Leases so far; the next one's number is one more."""
    failed_attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    """Attempts that ended because its runner died of the workload's code."""
    lost_attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    """Attempts that ended because the infrastructure was lost: machine, network, database, worker."""
    lost_in_a_row: Mapped[int] = mapped_column(Integer, server_default="0")
    """Those since a snapshot had more updates than the last, or an evaluation more than any."""
    worker: Mapped[str | None] = mapped_column(Name)
    lease_token: Mapped[str | None] = mapped_column(Id)
    lease_expires_at: Mapped[float | None]
    accounted_at: Mapped[float | None]
    """The time up to which the lease's device time is counted."""
    expected_seconds: Mapped[float | None]
    """Device time that the lease is still expected to use; the fair share counts it in advance."""
    stop_reason: Mapped[str | None]
    step: Mapped[int]
    updates: Mapped[int]
    shared_updates: Mapped[int] = mapped_column(server_default="0")
    device_seconds: Mapped[float]
    loss: Mapped[float | None]
    error: Mapped[str | None]
    created_at: Mapped[float]
    queued_at: Mapped[float]
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


class Forecast(Base):
    """A forecast of a run's loss at its end, made at one of its evaluations."""

    __tablename__ = "tuner_forecasts"

    run_id: Mapped[str] = mapped_column(Id, ForeignKey(Run.id), primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    mean: Mapped[float]
    std: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    chance: Mapped[float]
    leader_mean: Mapped[float]
    leader_std: Mapped[float]
    margin: Mapped[float]
    stop: Mapped[bool]
    audited: Mapped[bool]


class Snapshot(Base):
    """The latest snapshot of a run."""

    __tablename__ = "tuner_snapshots"

    run_id: Mapped[str] = mapped_column(Id, ForeignKey(Run.id), primary_key=True)
    step: Mapped[int]
    path: Mapped[str]
    saved_at: Mapped[float]


class LogChunk(Base):
    """A chunk of what a run's code printed."""

    __tablename__ = "tuner_run_logs"

    run_id: Mapped[str] = mapped_column(Id, ForeignKey(Run.id), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Ascends from 0, with gaps: the middle of a long log is dropped."""
    attempt: Mapped[int] = mapped_column(Integer)
    text: Mapped[str]
    at: Mapped[float]
