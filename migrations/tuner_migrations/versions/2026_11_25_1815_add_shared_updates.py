"""add shared updates.

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_jobs = sa.table("tuner_jobs", sa.column("seq"), sa.column("spec", sa.JSON()))
_OF_RUNS = ("tuner_curve_points", "tuner_snapshots", "tuner_run_logs")


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.add_column("tuner_jobs", sa.Column("updates_saved", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("tuner_runs", sa.Column("shared_updates", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("tuner_runs", sa.Column("trunk", sa.String(length=16), nullable=True))
    # Groups of controls that there are no more: their trials are like any other.
    op.execute("UPDATE tuner_trials SET control = NULL WHERE control IN ('linear', 'wsd')")


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    # The earlier version does not know audits, and asks for none.
    for table in _OF_RUNS:
        op.execute(f"DELETE FROM {table} WHERE run_id IN (SELECT id FROM tuner_runs WHERE kind = 'audit')")
    op.execute("DELETE FROM tuner_runs WHERE kind = 'audit'")
    # Nor does it know given schedules, and what else a search may say now.
    op.execute("UPDATE tuner_trials SET control = NULL WHERE control = 'start'")
    connection = op.get_bind()
    for seq, spec in connection.execute(sa.select(_jobs.c.seq, _jobs.c.spec)).all():
        former = {**spec, "search": _as_the_former_search(spec["search"])}
        connection.execute(sa.update(_jobs).where(_jobs.c.seq == seq).values(spec=former))
    op.drop_column("tuner_runs", "trunk")
    op.drop_column("tuner_runs", "shared_updates")
    op.drop_column("tuner_jobs", "updates_saved")


def _as_the_former_search(search: dict[str, Any]) -> dict[str, Any]:
    """The same rungs in its words, and the least number of fresh seeds that it takes."""
    known = {name: value for name, value in search.items() if name not in ("audit", "controls", "start")}
    if known.get("rungs", 3) is None:
        known["rungs"] = _rungs(known["total_steps"], ratio=known.get("ratio", 3.0))
    if "confirm_seeds" in known:
        known["confirm_seeds"] = max(2, known["confirm_seeds"])
    return known


def _rungs(total_steps: int, *, ratio: float) -> int:
    """How many rungs a search has that leaves their number open: three at most, none of under 2,000 updates."""
    rungs, below = 1, _over(total_steps, ratio)
    while rungs < 3 and below >= 2_000:
        rungs, below = rungs + 1, _over(below, ratio)
    return rungs


def _over(steps: int, ratio: float) -> int:
    """Rounded up."""
    return int(-(-steps // ratio))


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
