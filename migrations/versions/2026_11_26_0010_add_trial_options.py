"""add trial options.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_jobs = sa.table("tuner_jobs", sa.column("seq"), sa.column("spec", sa.JSON()))


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.add_column("tuner_trials", sa.Column("options", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    # The earlier version searches no options, and does not ask for longer runs. What trials trained with is lost.
    connection = op.get_bind()
    for seq, spec in connection.execute(sa.select(_jobs.c.seq, _jobs.c.spec)).all():
        former = {name: value for name, value in spec.items() if name != "longer"}
        former["search"] = {name: value for name, value in spec["search"].items() if name != "options"}
        connection.execute(sa.update(_jobs).where(_jobs.c.seq == seq).values(spec=former))
    op.drop_column("tuner_trials", "options")


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
