"""one plan without rungs: forecasts of runs, the best trial of jobs, roles for controls.

The reports of completed jobs are deleted on the way up, and on the way down: neither version reads those of the other.
Their jobs say so. All other rows are kept. What is lost in one direction or the other:

- up: cohorts, groups of controls other than the default one, and the settings of a search that concern rungs, controls
  and confirmations;
- down: forecasts, alternatives, the settings that are new. Runs that were stopped early count as diverged, cohorts are
  0, and a trial's further runs of one length are its confirmations.

Revision: 0006
Follows: 0005
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_jobs = sa.table("tuner_jobs", sa.column("seq"), sa.column("id"), sa.column("spec", sa.JSON()))
_runs = sa.table("tuner_runs", *(sa.column(name) for name in ("seq", "job_id", "trial_id", "total_steps", "kind", "rung")))

_FORMER_SEARCH = frozenset(
    {"max_updates", "rungs", "ratio", "keep", "cohort", "audit", "controls", "finalists", "confirm_seeds"}
)
_NEW_SEARCH = frozenset({"budget", "seeds", "worth", "prune", "incumbent"})
_FORMER_TRIALS = 16
_NO_REPORT = "its report was written by another version of Schedule Tuner: clone the job to get a new one"


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.create_table(
        "tuner_forecasts",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        *(
            sa.Column(name, sa.Double(), nullable=False)
            for name in ("mean", "std", "low", "high", "chance", "leader_mean", "leader_std", "margin")
        ),
        sa.Column("stop", sa.Boolean(), nullable=False),
        sa.Column("audited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["tuner_runs.id"], name=op.f("fk_tuner_forecasts_run_id")),
        sa.PrimaryKeyConstraint("run_id", "step", name=op.f("pk_tuner_forecasts")),
    )
    op.add_column("tuner_jobs", sa.Column("best", sa.JSON(), nullable=True))
    with op.batch_alter_table("tuner_trials") as batch:
        batch.add_column(sa.Column("role", sa.String(length=16), nullable=True))
    op.execute("UPDATE tuner_trials SET role = 'incumbent' WHERE control = 'default'")
    op.execute("UPDATE tuner_trials SET role = 'start' WHERE control = 'start'")
    with op.batch_alter_table("tuner_trials") as batch:
        batch.drop_column("control")
        batch.drop_column("cohort")
    with op.batch_alter_table("tuner_runs") as batch:
        batch.drop_constraint("uq_tuner_runs_trial_id_kind_rung_seed", type_="unique")
        batch.drop_column("kind")
        batch.drop_column("rung")
        batch.add_column(sa.Column("alternatives", sa.JSON(), server_default="[]", nullable=False))
        batch.create_unique_constraint("uq_tuner_runs_trial_id_seed_total_steps", ["trial_id", "seed", "total_steps"])
    _delete_reports()
    _change_searches({})


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.drop_table("tuner_forecasts")
    op.drop_column("tuner_jobs", "best")
    with op.batch_alter_table("tuner_trials") as batch:
        batch.add_column(sa.Column("cohort", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("control", sa.String(length=50), nullable=True))
    op.execute("UPDATE tuner_trials SET control = 'default' WHERE role = 'incumbent'")
    op.execute("UPDATE tuner_trials SET control = 'start' WHERE role = 'start'")
    with op.batch_alter_table("tuner_trials") as batch:
        batch.alter_column("cohort", existing_type=sa.Integer(), server_default=None)
        batch.drop_column("role")
    op.execute("UPDATE tuner_runs SET state = 'diverged' WHERE state = 'stopped'")
    with op.batch_alter_table("tuner_runs") as batch:
        batch.drop_constraint("uq_tuner_runs_trial_id_seed_total_steps", type_="unique")
        batch.drop_column("alternatives")
        batch.add_column(sa.Column("kind", sa.String(length=16), server_default="rung", nullable=False))
        batch.add_column(sa.Column("rung", sa.Integer(), server_default="0", nullable=False))
    lengths = _number_rungs()
    with op.batch_alter_table("tuner_runs") as batch:
        batch.alter_column("kind", existing_type=sa.String(length=16), server_default=None)
        batch.alter_column("rung", existing_type=sa.Integer(), server_default=None)
        batch.create_unique_constraint("uq_tuner_runs_trial_id_kind_rung_seed", ["trial_id", "kind", "rung", "seed"])
    _delete_reports()
    _change_searches(lengths)


def _delete_reports() -> None:
    op.execute("DELETE FROM tuner_reports")
    op.execute(f"UPDATE tuner_jobs SET error = '{_NO_REPORT}' WHERE state = 'completed'")


def _number_rungs() -> dict[str, int]:
    """Number the lengths of each job's runs; return how many each job has, by its id."""
    connection = op.get_bind()
    lengths: dict[str, set[int]] = {}
    columns = (_runs.c.seq, _runs.c.job_id, _runs.c.trial_id, _runs.c.total_steps)
    rows = connection.execute(sa.select(*columns).order_by(_runs.c.seq)).all()
    for row in rows:
        lengths.setdefault(row.job_id, set()).add(row.total_steps)
    seen: set[tuple[str, int]] = set()
    for row in rows:
        of_trial = (row.trial_id, row.total_steps)
        kind = "confirm" if of_trial in seen else "rung"
        seen.add(of_trial)
        rung = sorted(lengths[row.job_id]).index(row.total_steps)
        connection.execute(sa.update(_runs).where(_runs.c.seq == row.seq).values(kind=kind, rung=rung))
    return {job: len(of_job) for job, of_job in lengths.items()}


def _change_searches(rungs: dict[str, int]) -> None:
    """Drop what only the other version knows; on the way down also set the number of rungs where it is known."""
    connection = op.get_bind()
    for seq, job_id, spec in connection.execute(sa.select(_jobs.c.seq, _jobs.c.id, _jobs.c.spec)).all():
        unknown = _FORMER_SEARCH | _NEW_SEARCH
        search: dict[str, Any] = {name: value for name, value in spec["search"].items() if name not in unknown}
        if search.get("trials", 0) is None:
            search["trials"] = _FORMER_TRIALS
        if job_id in rungs:
            search["rungs"] = rungs[job_id]
        connection.execute(sa.update(_jobs).where(_jobs.c.seq == seq).values(spec={**spec, "search": search}))


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
