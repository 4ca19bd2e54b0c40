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
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tuner.devices import DeviceKind
from tuner.jobs.records import RunKind
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.people.roles import Role

PREFIX = "tuner_"
"""Tables with this prefix are ours; all others in the database are somebody else's."""

Id = String(36)
Name = String(200)
TeamName = String(100)
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
    """A worker: at work, killed at it, or gone."""

    __tablename__ = "tuner_workers"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    device: Mapped[str] = mapped_column(Name)
    device_kind: Mapped[DeviceKind] = mapped_column(_member(DeviceKind))
    device_model: Mapped[str] = mapped_column(Name)
    devices: Mapped[int] = mapped_column(Integer)
    memory_bytes: Mapped[int | None]
    workloads: Mapped[dict[str, Any]]
    """Version by name."""
    reserved_for: Mapped[str | None] = mapped_column(TeamName)
    draining: Mapped[bool] = mapped_column(server_default=false())
    started_at: Mapped[float]
    heartbeat_at: Mapped[float]
    left_at: Mapped[float | None]


class Pace(Base):
    """How long updates of a workload take on a kind of device, summed over all runs."""

    __tablename__ = "tuner_paces"

    workload: Mapped[str] = mapped_column(Name, primary_key=True)
    version: Mapped[str] = mapped_column(Name, primary_key=True)
    device_model: Mapped[str] = mapped_column(Name, primary_key=True)
    updates: Mapped[int]
    device_seconds: Mapped[float]


class Team(Base):
    """A team: its share and its limits."""

    __tablename__ = "tuner_teams"

    name: Mapped[str] = mapped_column(TeamName, primary_key=True)
    settings: Mapped[dict[str, Any]]
    created_at: Mapped[float]


class User(Base):
    """Somebody who logs in."""

    __tablename__ = "tuner_users"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    admin: Mapped[bool]
    disabled: Mapped[bool]
    created_at: Mapped[float]


class Membership(Base):
    """A user's role in a team."""

    __tablename__ = "tuner_memberships"

    team: Mapped[str] = mapped_column(TeamName, ForeignKey(Team.name), primary_key=True)
    user: Mapped[str] = mapped_column(Name, ForeignKey(User.name), primary_key=True)
    role: Mapped[Role] = mapped_column(_member(Role))


class Token(Base):
    """An API token; of its secret, the digest alone."""

    __tablename__ = "tuner_tokens"
    __table_args__ = (Index(None, "user"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user: Mapped[str] = mapped_column(Name, ForeignKey(User.name))
    team: Mapped[str | None] = mapped_column(TeamName, ForeignKey(Team.name))
    role: Mapped[Role] = mapped_column(_member(Role))
    label: Mapped[str] = mapped_column(Name)
    created_by: Mapped[str] = mapped_column(Name)
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    last_used_at: Mapped[float | None]


class Audit(Base):
    """Something that somebody did; ids rise. Never changed, never deleted with what it speaks of."""

    __tablename__ = "tuner_audit"
    __table_args__ = (Index(None, "team", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Sequence, primary_key=True)
    at: Mapped[float]
    actor: Mapped[str] = mapped_column(Name)
    token_id: Mapped[str | None] = mapped_column(Id)
    request_id: Mapped[str | None] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(50))
    target: Mapped[str] = mapped_column(Name)
    team: Mapped[str | None] = mapped_column(TeamName)
    data: Mapped[dict[str, Any]]


class Account(Base):
    """A user who has submitted for a team: what the shares are counted for."""

    __tablename__ = "tuner_accounts"

    team: Mapped[str] = mapped_column(TeamName, primary_key=True)
    owner: Mapped[str] = mapped_column(Name, primary_key=True)


class Usage(Base):
    """Device time of an account in one hour."""

    __tablename__ = "tuner_usage"
    __table_args__ = (
        ForeignKeyConstraint(["team", "owner"], [Account.team, Account.owner], name="fk_tuner_usage_account"),
        Index(None, "hour"),
    )

    team: Mapped[str] = mapped_column(TeamName, primary_key=True)
    owner: Mapped[str] = mapped_column(Name, primary_key=True)
    hour: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Hours since 1970 UTC."""
    device_seconds: Mapped[float]
    updates: Mapped[int]


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
    state: Mapped[JobState] = mapped_column(_member(JobState))
    team: Mapped[str] = mapped_column(TeamName)
    owner: Mapped[str] = mapped_column(Name)
    shared: Mapped[bool]
    priority: Mapped[int] = mapped_column(Integer)
    """The rank of its class."""
    workload: Mapped[str] = mapped_column(Name)
    workload_version: Mapped[str] = mapped_column(Name)
    needs_device: Mapped[str] = mapped_column(String(16), server_default="any")
    needs_devices: Mapped[int] = mapped_column(Integer, server_default="1")
    needs_memory_bytes: Mapped[int | None]
    name: Mapped[str] = mapped_column(Name)
    spec: Mapped[dict[str, Any]]
    """The truth; team, priority, workload, resources, name and shared stand beside it to be searched by."""
    origin: Mapped[str | None] = mapped_column(Id)
    idempotency_key: Mapped[str | None] = mapped_column(Name)
    request_digest: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of the request as it came, for the idempotency key."""
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    error: Mapped[str | None]
    updates_spent: Mapped[int]
    updates_saved: Mapped[int] = mapped_column(server_default="0")
    device_seconds: Mapped[float]
    limit_reached: Mapped[str | None]
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
    cohort: Mapped[int] = mapped_column(Integer)
    control: Mapped[str | None] = mapped_column(String(50))
    family: Mapped[str] = mapped_column(String(50))
    """Of its schedule, to be counted by."""
    state: Mapped[TrialState] = mapped_column(_member(TrialState))
    schedule: Mapped[dict[str, Any]]
    options: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
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
        Index(None, "job_id", "state"),
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
    prefix_key: Mapped[str | None] = mapped_column(String(16))
    """Equal for runs that are likely to begin alike."""
    state: Mapped[RunState] = mapped_column(_member(RunState))
    reason: Mapped[str]
    attempts: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str | None] = mapped_column(Name)
    lease_token: Mapped[str | None] = mapped_column(Id)
    lease_expires_at: Mapped[float | None]
    accounted_at: Mapped[float | None]
    """Until when the present lease's device time is counted."""
    expected_seconds: Mapped[float | None]
    """Device time that the present lease is still expected to take: it counts in the shares before it is taken."""
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


class Snapshot(Base):
    """The latest snapshot of a run."""

    __tablename__ = "tuner_snapshots"

    run_id: Mapped[str] = mapped_column(Id, ForeignKey(Run.id), primary_key=True)
    step: Mapped[int]
    path: Mapped[str]
    saved_at: Mapped[float]


class LogChunk(Base):
    """A piece of what a run's code printed."""

    __tablename__ = "tuner_run_logs"

    run_id: Mapped[str] = mapped_column(Id, ForeignKey(Run.id), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """From 0; those of a long log's middle are gone."""
    attempt: Mapped[int] = mapped_column(Integer)
    text: Mapped[str]
    at: Mapped[float]


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


class Webhook(Base):
    """Where a team wants to be told of its jobs' events. Its signing key is derived, and stored nowhere."""

    __tablename__ = "tuner_webhooks"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    team: Mapped[str | None] = mapped_column(TeamName, ForeignKey(Team.name))
    url: Mapped[str]
    format: Mapped[str] = mapped_column(String(16))
    events: Mapped[list[str]]
    enabled: Mapped[bool]
    key_version: Mapped[int] = mapped_column(Integer)
    after_event: Mapped[int]
    """Events up to this id have been looked at."""
    created_by: Mapped[str] = mapped_column(Name)
    created_at: Mapped[float]


class Delivery(Base):
    """One event on its way to one webhook."""

    __tablename__ = "tuner_deliveries"
    __table_args__ = (UniqueConstraint("webhook_id", "event_id"), Index(None, "state", "due_at"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    webhook_id: Mapped[str] = mapped_column(Id, ForeignKey(Webhook.id))
    event_id: Mapped[int]
    body: Mapped[dict[str, Any]]
    """The event, kept until it is delivered, whatever becomes of its job."""
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[float]
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None]
    created_at: Mapped[float]
    finished_at: Mapped[float | None]
