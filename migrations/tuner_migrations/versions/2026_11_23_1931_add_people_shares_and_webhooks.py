"""add people shares and webhooks.

Revision: 0002
Follows: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


_NEW: dict[str, tuple[tuple[str, sa.types.TypeEngine[Any], bool], ...]] = {
    "tuner_jobs": (
        ("owner", sa.String(length=200), True),
        ("shared", sa.Boolean(), True),
        ("name", sa.String(length=200), True),
        ("origin", sa.String(length=36), False),
        ("request_digest", sa.String(length=64), False),
        ("device_seconds", sa.Double(), True),
        ("limit_reached", sa.Text(), False),
    ),
    "tuner_runs": (
        ("accounted_at", sa.Double(), False),
        ("expected_seconds", sa.Double(), False),
        ("stop_reason", sa.Text(), False),
        ("device_seconds", sa.Double(), True),
        ("queued_at", sa.Double(), True),
    ),
    "tuner_trials": (("family", sa.String(length=50), True),),
    "tuner_workers": (
        ("device_kind", sa.String(length=16), True),
        ("device_model", sa.String(length=200), True),
        ("devices", sa.Integer(), True),
        ("memory_bytes", sa.BigInteger(), False),
        ("reserved_for", sa.String(length=100), False),
        ("left_at", sa.Double(), False),
    ),
}
"""New columns of tables that may have rows: name, type, whether every row must have a value."""

_LOCAL_USER = "local"
_CLASSES = ("low", "normal", "high")
_jobs = sa.table(
    "tuner_jobs",
    *(sa.column(name) for name in ("seq", "team", "owner", "shared", "name", "priority", "state", "started_at")),
    sa.column("device_seconds"),
    sa.column("spec", sa.JSON()),
)
_trials = sa.table("tuner_trials", sa.column("id"), sa.column("family"), sa.column("schedule", sa.JSON()))
_runs = sa.table("tuner_runs", *(sa.column(name) for name in ("device_seconds", "queued_at", "created_at")))


def _fill() -> None:
    """Give every row what the new columns ask for. Workers announce themselves again, so theirs are dropped."""
    connection = op.get_bind()
    op.execute("DELETE FROM tuner_workers")
    op.execute(f"INSERT INTO tuner_accounts (team, owner) SELECT DISTINCT team, '{_LOCAL_USER}' FROM tuner_jobs")
    connection.execute(sa.update(_runs).values(device_seconds=0.0, queued_at=_runs.c.created_at))
    for seq, spec in connection.execute(sa.select(_jobs.c.seq, _jobs.c.spec)).all():
        number = spec.get("priority", 0)
        rank = 1 + (number > 0) - (number < 0)
        connection.execute(
            sa.update(_jobs)
            .where(_jobs.c.seq == seq)
            .values(
                owner=_LOCAL_USER,
                shared=sa.false(),
                name=spec.get("name", ""),
                device_seconds=0.0,
                priority=rank,
                spec={**spec, "priority": _CLASSES[rank]},
            )
        )
    for trial, schedule in connection.execute(sa.select(_trials.c.id, _trials.c.schedule)).all():
        connection.execute(sa.update(_trials).where(_trials.c.id == trial).values(family=schedule["family"]["name"]))


def _empty() -> None:
    """Put back what the earlier version understands: numbers for classes, and no state that it does not know."""
    connection = op.get_bind()
    for seq, spec, state, started_at in connection.execute(
        sa.select(_jobs.c.seq, _jobs.c.spec, _jobs.c.state, _jobs.c.started_at)
    ).all():
        known = {key: value for key, value in spec.items() if key not in ("notes", "shared", "resources", "limits")}
        number = _CLASSES.index(spec.get("priority", "normal")) - 1
        changes = {"priority": number, "spec": {**known, "priority": number}}
        if state == "paused":
            changes["state"] = "queued" if started_at is None else "running"
        connection.execute(sa.update(_jobs).where(_jobs.c.seq == seq).values(**changes))
    op.execute("DELETE FROM tuner_workers")


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.create_table(
        "tuner_accounts",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("team", "owner", name=op.f("pk_tuner_accounts")),
    )
    op.create_table(
        "tuner_audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("token_id", sa.String(length=36), nullable=True),
        sa.Column("request_id", sa.String(length=36), nullable=True),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuner_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tuner_audit_team_id", "tuner_audit", ["team", "id"])
    op.create_table(
        "tuner_paces",
        sa.Column("workload", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=200), nullable=False),
        sa.Column("device_model", sa.String(length=200), nullable=False),
        sa.Column("updates", sa.BigInteger(), nullable=False),
        sa.Column("device_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("workload", "version", "device_model", name=op.f("pk_tuner_paces")),
    )
    op.create_table(
        "tuner_teams",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tuner_teams")),
    )
    op.create_table(
        "tuner_users",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tuner_users")),
    )
    op.create_table(
        "tuner_memberships",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("user", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["team"], ["tuner_teams.name"], name=op.f("fk_tuner_memberships_team")),
        sa.ForeignKeyConstraint(["user"], ["tuner_users.name"], name=op.f("fk_tuner_memberships_user")),
        sa.PrimaryKeyConstraint("team", "user", name=op.f("pk_tuner_memberships")),
    )
    op.create_table(
        "tuner_tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=200), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["team"], ["tuner_teams.name"], name=op.f("fk_tuner_tokens_team")),
        sa.ForeignKeyConstraint(["user"], ["tuner_users.name"], name=op.f("fk_tuner_tokens_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuner_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tuner_tokens_digest")),
    )
    op.create_index("ix_tuner_tokens_user", "tuner_tokens", ["user"])
    op.create_table(
        "tuner_usage",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("device_seconds", sa.Double(), nullable=False),
        sa.Column("updates", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["team", "owner"], ["tuner_accounts.team", "tuner_accounts.owner"], name="fk_tuner_usage_account"
        ),
        sa.PrimaryKeyConstraint("team", "owner", "hour", name=op.f("pk_tuner_usage")),
    )
    op.create_index("ix_tuner_usage_hour", "tuner_usage", ["hour"])
    op.create_table(
        "tuner_webhooks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("after_event", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["team"], ["tuner_teams.name"], name=op.f("fk_tuner_webhooks_team")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuner_webhooks")),
    )
    op.create_table(
        "tuner_deliveries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("webhook_id", sa.String(length=36), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["webhook_id"], ["tuner_webhooks.id"], name=op.f("fk_tuner_deliveries_webhook_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuner_deliveries")),
        sa.UniqueConstraint("webhook_id", "event_id", name=op.f("uq_tuner_deliveries_webhook_id_event_id")),
    )
    op.create_index("ix_tuner_deliveries_state_due_at", "tuner_deliveries", ["state", "due_at"])
    op.create_table(
        "tuner_run_logs",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["tuner_runs.id"], name=op.f("fk_tuner_run_logs_run_id")),
        sa.PrimaryKeyConstraint("run_id", "seq", name=op.f("pk_tuner_run_logs")),
    )
    for table, columns in _NEW.items():
        with op.batch_alter_table(table) as batch:
            for name, kind, _ in columns:
                batch.add_column(sa.Column(name, kind, nullable=True))
    _fill()
    for table, columns in _NEW.items():
        with op.batch_alter_table(table) as batch:
            for name, kind, required in columns:
                if required:
                    batch.alter_column(name, existing_type=kind, nullable=False)
    with op.batch_alter_table("tuner_workers") as batch:
        batch.add_column(sa.Column("draining", sa.Boolean(), server_default=sa.false(), nullable=False))
    with op.batch_alter_table("tuner_jobs") as batch:
        batch.add_column(sa.Column("needs_device", sa.String(length=16), server_default="any", nullable=False))
        batch.add_column(sa.Column("needs_devices", sa.Integer(), server_default="1", nullable=False))
        batch.add_column(sa.Column("needs_memory_bytes", sa.BigInteger(), nullable=True))
        batch.drop_index("ix_tuner_jobs_state_priority_seq")
        batch.create_index(
            "ix_tuner_jobs_shared", ["seq"], sqlite_where=sa.text("shared"), postgresql_where=sa.text("shared")
        )
        batch.create_index("ix_tuner_jobs_state_seq", ["state", "seq"])
        batch.create_index("ix_tuner_jobs_team_owner_state_priority_seq", ["team", "owner", "state", "priority", "seq"])
        batch.create_index("ix_tuner_jobs_team_seq", ["team", "seq"])
        batch.create_foreign_key("fk_tuner_jobs_account", "tuner_accounts", ["team", "owner"], ["team", "owner"])
    op.create_index("ix_tuner_runs_job_id_state", "tuner_runs", ["job_id", "state"])


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    _empty()
    op.drop_index("ix_tuner_runs_job_id_state", "tuner_runs")
    with op.batch_alter_table("tuner_jobs") as batch:
        batch.drop_constraint("fk_tuner_jobs_account", type_="foreignkey")
        batch.drop_index("ix_tuner_jobs_team_seq")
        batch.drop_index("ix_tuner_jobs_team_owner_state_priority_seq")
        batch.drop_index("ix_tuner_jobs_state_seq")
        batch.drop_index("ix_tuner_jobs_shared")
        batch.create_index("ix_tuner_jobs_state_priority_seq", ["state", "priority", "seq"])
        batch.drop_column("needs_memory_bytes")
        batch.drop_column("needs_devices")
        batch.drop_column("needs_device")
    with op.batch_alter_table("tuner_workers") as batch:
        batch.drop_column("draining")
    for table, columns in _NEW.items():
        with op.batch_alter_table(table) as batch:
            for name, _, _ in columns:
                batch.drop_column(name)
    op.drop_table("tuner_run_logs")
    op.drop_table("tuner_deliveries")
    op.drop_table("tuner_webhooks")
    op.drop_table("tuner_usage")
    op.drop_table("tuner_tokens")
    op.drop_table("tuner_memberships")
    op.drop_table("tuner_users")
    op.drop_table("tuner_teams")
    op.drop_table("tuner_paces")
    op.drop_table("tuner_audit")
    op.drop_table("tuner_accounts")


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
