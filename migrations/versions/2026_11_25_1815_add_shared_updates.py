"""add shared updates.

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OF_RUNS = ("tuner_curve_points", "tuner_snapshots", "tuner_run_logs")


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.add_column("tuner_jobs", sa.Column("updates_saved", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("tuner_runs", sa.Column("shared_updates", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("tuner_runs", sa.Column("trunk", sa.String(length=16), nullable=True))


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    # The earlier version does not know audits, and asks for none.
    for table in _OF_RUNS:
        op.execute(f"DELETE FROM {table} WHERE run_id IN (SELECT id FROM tuner_runs WHERE kind = 'audit')")
    op.execute("DELETE FROM tuner_runs WHERE kind = 'audit'")
    op.drop_column("tuner_runs", "trunk")
    op.drop_column("tuner_runs", "shared_updates")
    op.drop_column("tuner_jobs", "updates_saved")


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
