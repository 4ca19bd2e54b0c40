"""add trial options, and trials that Optuna is told of later.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_reports = sa.table("tuner_reports", sa.column("job_id"), sa.column("report", sa.JSON()))
_jobs = sa.table("tuner_jobs", sa.column("seq"), sa.column("spec", sa.JSON()))


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.add_column("tuner_trials", sa.Column("options", sa.JSON(), server_default="{}", nullable=False))
    with op.batch_alter_table("tuner_trials") as trials:
        trials.alter_column("optuna_number", existing_type=sa.Integer(), nullable=True)


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    _number_what_optuna_was_not_told()
    # The earlier version searches no options, and does not ask for longer runs. What trials trained with is lost.
    connection = op.get_bind()
    for seq, spec in connection.execute(sa.select(_jobs.c.seq, _jobs.c.spec)).all():
        former = {name: value for name, value in spec.items() if name != "longer"}
        former["search"] = {name: value for name, value in spec["search"].items() if name != "options"}
        connection.execute(sa.update(_jobs).where(_jobs.c.seq == seq).values(spec=former))
    for job_id, report in connection.execute(sa.select(_reports.c.job_id, _reports.c.report)).all():
        former = _as_the_former_report(report)
        connection.execute(sa.update(_reports).where(_reports.c.job_id == job_id).values(report=former))
    op.drop_column("tuner_trials", "options")
    with op.batch_alter_table("tuner_trials") as trials:
        trials.alter_column("optuna_number", existing_type=sa.Integer(), nullable=False)


def _as_the_former_report(report: dict[str, Any]) -> dict[str, Any]:
    """Without what the earlier version refuses to read."""
    former = {name: value for name, value in report.items() if name != "transfer"}
    for name in ("best", "recommended"):
        if name in former:
            former[name] = _without_options(former[name])
    if "candidates" in former:
        former["candidates"] = [_without_options(one) for one in former["candidates"]]
    return former


def _without_options(candidate: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in candidate.items() if name != "options"}


def _number_what_optuna_was_not_told() -> None:
    """The earlier version looks for every trial in Optuna's study. A failed job that it tries again would fail once more."""
    open_jobs = op.get_bind().scalars(
        sa.text(
            "SELECT DISTINCT tuner_jobs.id FROM tuner_jobs JOIN tuner_trials ON tuner_trials.job_id = tuner_jobs.id "
            "WHERE tuner_trials.optuna_number IS NULL AND tuner_jobs.state IN ('queued', 'running', 'paused')"
        )
    )
    if waiting := sorted(open_jobs):
        raise RuntimeError(f"let these jobs end, or cancel them, before going back: {', '.join(waiting)}")
    op.execute("UPDATE tuner_trials SET optuna_number = -1 - number WHERE optuna_number IS NULL")


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
