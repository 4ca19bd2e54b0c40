"""rename fields: the prefix key of runs, the set of equivalent schedules in reports.

Revision: 0005
Follows: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_reports = sa.table("tuner_reports", sa.column("job_id"), sa.column("report", sa.JSON()))


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.execute("ALTER TABLE tuner_runs RENAME COLUMN trunk TO prefix_key")
    _rename_in_reports("plateau", to="equivalents")


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.execute("ALTER TABLE tuner_runs RENAME COLUMN prefix_key TO trunk")
    _rename_in_reports("equivalents", to="plateau")


def _rename_in_reports(name: str, *, to: str) -> None:
    connection = op.get_bind()
    for job_id, report in connection.execute(sa.select(_reports.c.job_id, _reports.c.report)).all():
        renamed = {to if key == name else key: value for key, value in report.items()}
        connection.execute(sa.update(_reports).where(_reports.c.job_id == job_id).values(report=renamed))


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
