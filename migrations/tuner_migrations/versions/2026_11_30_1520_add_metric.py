"""add the metric of jobs, and the field's words in runs, limits, reports and events.

Revision: 0005
Follows: 0004
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_jobs = sa.table(
    "tuner_jobs", sa.column("seq"), sa.column("id"), sa.column("spec", sa.JSON()), sa.column("metric", sa.JSON())
)
_workloads = sa.table("tuner_workloads", sa.column("name"), sa.column("info", sa.JSON()))
_reports = sa.table("tuner_reports", sa.column("job_id"), sa.column("report", sa.JSON()))

_VALIDATION_LOSS = {"name": "validation loss", "direction": "minimize", "unit": ""}
_IN_REPORTS = {
    "plateau": "equivalents",
    "losses": "values",
    "loss": "value",
    "search_loss": "search_value",
    "best_search_loss": "best_search_value",
}
_OF_USERS = frozenset({"options", "schedule", "evidence"})
"""Objects in reports whose keys are names of users or of an advice."""
_VERDICTS = {"cannot be told apart": "statistical tie"}
_LIMITS = {"target_loss": "target"}
_IN_EVENTS = (("val_loss", "value", ("run.evaluated",)), ("loss", "value", ("run.succeeded", "run.diverged", "run.failed")))


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    op.execute("ALTER TABLE tuner_runs RENAME COLUMN trunk TO prefix_key")
    default = '{"name":"validation loss","direction":"minimize","unit":""}'
    op.add_column("tuner_jobs", sa.Column("metric", sa.JSON(), server_default=default, nullable=False))
    _change_infos(lambda info: {**info, "metric": _VALIDATION_LOSS})
    _rename_limits(_LIMITS)
    _rename_in_reports(_IN_REPORTS, verdicts=_VERDICTS)
    for former, name, kinds in _IN_EVENTS:
        _rename_in_events(former, to=name, kinds=kinds)


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    metrics = op.get_bind().execute(sa.select(_jobs.c.id, _jobs.c.metric)).all()
    if maximized := sorted(job for job, metric in metrics if metric["direction"] == "maximize"):
        # The earlier version takes every value for a loss.
        raise RuntimeError(f"delete these jobs, whose metric is maximized, before going back: {', '.join(maximized)}")
    op.execute("ALTER TABLE tuner_runs RENAME COLUMN prefix_key TO trunk")
    op.drop_column("tuner_jobs", "metric")
    _change_infos(lambda info: {key: value for key, value in info.items() if key != "metric"})
    _rename_limits(_reversed(_LIMITS))
    _rename_in_reports(_reversed(_IN_REPORTS), verdicts=_reversed(_VERDICTS))
    for former, name, kinds in _IN_EVENTS:
        _rename_in_events(name, to=former, kinds=kinds)


def _change_infos(change: Any) -> None:
    connection = op.get_bind()
    for name, info in connection.execute(sa.select(_workloads.c.name, _workloads.c.info)).all():
        connection.execute(sa.update(_workloads).where(_workloads.c.name == name).values(info=change(info)))


def _rename_limits(names: dict[str, str]) -> None:
    connection = op.get_bind()
    for seq, spec in connection.execute(sa.select(_jobs.c.seq, _jobs.c.spec)).all():
        if "limits" in spec:
            limits = {names.get(key, key): value for key, value in spec["limits"].items()}
            connection.execute(sa.update(_jobs).where(_jobs.c.seq == seq).values(spec={**spec, "limits": limits}))


def _rename_in_reports(names: dict[str, str], *, verdicts: dict[str, str]) -> None:
    connection = op.get_bind()
    for job_id, report in connection.execute(sa.select(_reports.c.job_id, _reports.c.report)).all():
        # The earlier version knows no metric; what a report of this one lacks is the default.
        known = {key: value for key, value in report.items() if key != "metric"}
        renamed = _renamed(known, names=names, verdicts=verdicts)
        connection.execute(sa.update(_reports).where(_reports.c.job_id == job_id).values(report=renamed))


def _renamed(value: Any, *, names: dict[str, str], verdicts: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(one, names=names, verdicts=verdicts) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        names.get(key, key): one
        if key in _OF_USERS
        else verdicts.get(one, one)
        if key == "verdict"
        else _renamed(one, names=names, verdicts=verdicts)
        for key, one in value.items()
    }


def _rename_in_events(name: str, *, to: str, kinds: tuple[str, ...]) -> None:
    """Rename a key of all events of these kinds at once, in the text: within a string its quotes would be escaped."""
    text, back = ("data::text", "::json") if op.get_bind().dialect.name == "postgresql" else ("data", "")
    statement = sa.text(
        f"UPDATE tuner_events SET data = replace({text}, :name, :to){back} WHERE kind IN :kinds"
    ).bindparams(sa.bindparam("kinds", expanding=True))
    op.get_bind().execute(statement, {"name": f'"{name}":', "to": f'"{to}":', "kinds": kinds})


def _reversed(names: dict[str, str]) -> dict[str, str]:
    return {name: former for former, name in names.items()}


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
