"""create tables.

Revision: 0001
Follows: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.create_table(
        "tuner_jobs",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("workload", sa.String(length=200), nullable=False),
        sa.Column("workload_version", sa.String(length=200), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("updates_spent", sa.BigInteger(), nullable=False),
        sa.Column("plan_due", sa.Boolean(), nullable=False),
        sa.Column("lock_token", sa.String(length=36), nullable=True),
        sa.Column("lock_owner", sa.String(length=200), nullable=True),
        sa.Column("lock_expires_at", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "lock_token IS NULL OR state IN ('queued', 'running')", name=op.f("ck_tuner_jobs_lock_needs_open_job")
        ),
        sa.CheckConstraint(
            "(lock_token IS NULL) = (lock_expires_at IS NULL)", name=op.f("ck_tuner_jobs_lock_is_whole")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_tuner_jobs")),
        sa.UniqueConstraint("id", name=op.f("uq_tuner_jobs_id")),
        sa.UniqueConstraint("team", "idempotency_key", name=op.f("uq_tuner_jobs_team_idempotency_key")),
    )
    op.create_index(op.f("ix_tuner_jobs_state_priority_seq"), "tuner_jobs", ["state", "priority", "seq"])
    op.create_table(
        "tuner_workers",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("device", sa.String(length=200), nullable=False),
        sa.Column("workloads", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tuner_workers")),
    )
    op.create_table(
        "tuner_workloads",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=200), nullable=False),
        sa.Column("info", sa.JSON(), nullable=False),
        sa.Column("announced_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tuner_workloads")),
    )
    op.create_table(
        "tuner_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=50), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tuner_jobs.id"], name=op.f("fk_tuner_events_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuner_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tuner_events_job_id_id"), "tuner_events", ["job_id", "id"])
    op.create_table(
        "tuner_reports",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tuner_jobs.id"], name=op.f("fk_tuner_reports_job_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_tuner_reports")),
    )
    op.create_table(
        "tuner_trials",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("optuna_number", sa.Integer(), nullable=False),
        sa.Column("cohort", sa.Integer(), nullable=False),
        sa.Column("control", sa.String(length=50), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["tuner_jobs.id"], name=op.f("fk_tuner_trials_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuner_trials")),
        sa.UniqueConstraint("job_id", "number", name=op.f("uq_tuner_trials_job_id_number")),
        sa.UniqueConstraint("job_id", "optuna_number", name=op.f("uq_tuner_trials_job_id_optuna_number")),
    )
    op.create_table(
        "tuner_runs",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("trial_id", sa.String(length=36), nullable=False),
        sa.Column("trial_number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("total_steps", sa.BigInteger(), nullable=False),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.Column("lease_expires_at", sa.Double(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("updates", sa.BigInteger(), nullable=False),
        sa.Column("loss", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "(state = 'leased') = (lease_token IS NOT NULL)", name=op.f("ck_tuner_runs_lease_means_leased")
        ),
        sa.CheckConstraint(
            "(state = 'succeeded') = (loss IS NOT NULL)", name=op.f("ck_tuner_runs_loss_means_succeeded")
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_expires_at IS NULL)", name=op.f("ck_tuner_runs_lease_is_whole")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["tuner_jobs.id"], name=op.f("fk_tuner_runs_job_id")),
        sa.ForeignKeyConstraint(["trial_id"], ["tuner_trials.id"], name=op.f("fk_tuner_runs_trial_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_tuner_runs")),
        sa.UniqueConstraint("id", name=op.f("uq_tuner_runs_id")),
        sa.UniqueConstraint("trial_id", "kind", "rung", "seed", name=op.f("uq_tuner_runs_trial_id_kind_rung_seed")),
    )
    op.create_index(op.f("ix_tuner_runs_job_id_seq"), "tuner_runs", ["job_id", "seq"])
    op.create_index(op.f("ix_tuner_runs_state_lease_expires_at"), "tuner_runs", ["state", "lease_expires_at"])
    op.create_table(
        "tuner_curve_points",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lr", sa.Double(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("val_loss", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["tuner_runs.id"], name=op.f("fk_tuner_curve_points_run_id")),
        sa.PrimaryKeyConstraint("run_id", "step", name=op.f("pk_tuner_curve_points")),
    )
    op.create_table(
        "tuner_snapshots",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["tuner_runs.id"], name=op.f("fk_tuner_snapshots_run_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_tuner_snapshots")),
    )


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.drop_table("tuner_snapshots")
    op.drop_table("tuner_curve_points")
    op.drop_table("tuner_runs")
    op.drop_table("tuner_trials")
    op.drop_table("tuner_reports")
    op.drop_table("tuner_events")
    op.drop_table("tuner_workloads")
    op.drop_table("tuner_workers")
    op.drop_table("tuner_jobs")


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
