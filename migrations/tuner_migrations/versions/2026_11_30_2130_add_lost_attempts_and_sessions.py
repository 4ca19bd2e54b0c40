"""count failed and lost attempts of a run apart; browser sessions; which token made a token.

Attempts of earlier versions count as failed ones where the run failed; the others are not counted. Browser sessions
begin anew in both directions.

Revision: 0007
Follows: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    for name in ("failed_attempts", "lost_attempts", "lost_in_a_row"):
        op.add_column("tuner_runs", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    for name in ("failed_attempts", "lost_attempts"):
        op.add_column("tuner_jobs", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE tuner_runs SET failed_attempts = attempts WHERE state = 'failed'")
    with op.batch_alter_table("tuner_tokens") as batch:
        batch.add_column(sa.Column("parent_id", sa.String(length=36), nullable=True))
        batch.create_foreign_key("fk_tuner_tokens_parent_id", "tuner_tokens", ["parent_id"], ["id"])
    op.create_index("ix_tuner_tokens_parent_id", "tuner_tokens", ["parent_id"])
    op.create_table(
        "tuner_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("token_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tuner_tokens.id"], name=op.f("fk_tuner_sessions_token_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tuner_sessions")),
    )
    op.create_index("ix_tuner_sessions_expires_at", "tuner_sessions", ["expires_at"])
    op.create_index("ix_tuner_sessions_token_id", "tuner_sessions", ["token_id"])


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.drop_table("tuner_sessions")
    op.drop_index("ix_tuner_tokens_parent_id", table_name="tuner_tokens")
    with op.batch_alter_table("tuner_tokens") as batch:
        batch.drop_constraint("fk_tuner_tokens_parent_id", type_="foreignkey")
        batch.drop_column("parent_id")
    for name in ("lost_attempts", "failed_attempts"):
        op.drop_column("tuner_jobs", name)
    for name in ("lost_in_a_row", "lost_attempts", "failed_attempts"):
        op.drop_column("tuner_runs", name)


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
