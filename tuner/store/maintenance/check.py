"""Consistency check of a database: the file, the schema, the references, and the invariants of the queue.

It reads one snapshot in one transaction, so it can run while the service and the workers run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Enum,
    ForeignKeyConstraint,
    RowMapping,
    Select,
    String,
    Table,
    and_,
    cast,
    column,
    exists,
    func,
    not_,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.orm import Session

from tuner.errors import DatabaseUnavailable
from tuner.jobs.priority import Priority
from tuner.jobs.states import JobState, RunState, TrialState, is_terminal
from tuner.store.db.database import Database
from tuner.store.db.engine import parse_url
from tuner.store.db.models import Base, Forecast, Job, Report, Run, Snapshot, Trial
from tuner.store.maintenance.migrate import is_current

_EXAMPLES = 5
_ALL = 1_000_000
_JOB_ENDED = [state for state in JobState if is_terminal(state)]
_RUN_ENDED = [state for state in RunState if is_terminal(state)]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A violated invariant."""

    name: str
    """Stable identifier."""
    message: str
    """The problem and its remedy."""
    count: int
    examples: tuple[str, ...]
    """Ids of a few affected rows."""


def check(url: str) -> tuple[Finding, ...]:
    """Check a database for violated invariants.

    Args:
        url: As for `Store.open`.

    Returns:
        The findings; none when the database is consistent. For a damaged file or another version's schema, only that
        finding.

    Raises:
        InvalidValue: The URL is not supported, or its file is not a database.
        DatabaseUnavailable: The database cannot be reached.
    """
    damage = tuple(_file_damage(parse_url(url)))
    if damage:
        return damage
    if not is_current(url):
        message = "the tables are not those of this version of Schedule Tuner: run `tuner db upgrade`"
        return (Finding(name="schema", message=message, count=1, examples=()),)
    database = Database(url)
    try:
        return database.read(_findings)
    finally:
        database.close()


def _findings(session: Session) -> tuple[Finding, ...]:
    found = [*_unknown_enum_values(session), *_orphans(session)]
    if session.get_bind().dialect.name == "postgresql":
        found += _unvalidated(session)
    if any(finding.name == "unknown-value" for finding in found):
        return tuple(found)  # these rows cannot be loaded
    for name, message, ids in _invariants():
        found += _finding(name, message, [str(key) for key in session.scalars(ids)])
    return (*found, *_denormalized_columns(session))


def _finding(name: str, message: str, keys: Sequence[str]) -> Iterator[Finding]:
    if keys:
        yield Finding(name=name, message=message, count=len(keys), examples=tuple(keys[:_EXAMPLES]))


def _file_damage(url: URL) -> Iterator[Finding]:
    """The result of SQLite's integrity check."""
    if url.get_backend_name() != "sqlite" or not Path(str(url.database)).exists():
        return
    try:
        with closing(sqlite3.connect(f"{Path(str(url.database)).absolute().as_uri()}?mode=ro", uri=True)) as connection:
            lines = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_ALL})")]
    except sqlite3.OperationalError as error:
        raise DatabaseUnavailable(f"the database does not answer: {error}") from error
    except sqlite3.DatabaseError as error:
        lines = [str(error)]
    message = "the file is damaged: bring a backup back with `tuner db restore`"
    yield from _finding("damaged", message, [line for line in lines if line != "ok"])


def _unvalidated(session: Session) -> Iterator[Finding]:
    """Indexes and constraints that PostgreSQL has not validated."""
    indexes = text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
    message = "an index is not valid: run REINDEX INDEX on it"
    yield from _finding("invalid-index", message, list(session.scalars(indexes)))
    constraints = text("SELECT conrelid::regclass::text || ' ' || conname FROM pg_constraint WHERE NOT convalidated")
    message = "a constraint was never held to the rows: run ALTER TABLE ... VALIDATE CONSTRAINT"
    yield from _finding("unchecked-constraint", message, list(session.scalars(constraints)))


def _unknown_enum_values(session: Session) -> Iterator[Finding]:
    """Enum values that this version does not know."""
    for model in Base.metadata.sorted_tables:
        for member in model.columns:
            if isinstance(member.type, Enum):
                plain = cast(member, String)
                known = list(member.type.enums)
                unknown = session.scalars(select(plain).where(plain.not_in(known)).distinct()).all()
                message = f"{member} holds what this version does not know: upgrade it to the one that wrote it"
                yield from _finding("unknown-value", message, unknown)


def _orphans(session: Session) -> Iterator[Finding]:
    """Rows with dangling foreign keys. PostgreSQL enforces them; SQLite only where the pragma is set."""
    for model in Base.metadata.sorted_tables:
        for constraint in sorted(model.foreign_key_constraints, key=lambda each: str(each.name)):
            count = session.execute(_without_parent(model, constraint)).scalar_one()
            if count:
                message = f"rows of {model.name} refer to rows of {constraint.referred_table.name} which are not there"
                yield Finding(name="orphan", message=message, count=count, examples=())


def _without_parent(model: Table, constraint: ForeignKeyConstraint) -> Select[int]:
    parent = constraint.referred_table.alias("parent")
    pairs = [(element.parent, parent.c[element.column.name]) for element in constraint.elements]
    has_parent = exists(select(1).select_from(parent).where(*(child == key for child, key in pairs)))
    return select(func.count()).select_from(model).where(*(child.is_not(None) for child, _ in pairs), not_(has_parent))


def _invariants() -> Iterator[tuple[str, str, Select[Any]]]:
    """The invariants of the queue: a name, a message, and the query for the ids that violate it."""
    job_ended = Job.state.in_(_JOB_ENDED)
    run_ended = Run.state.in_(_RUN_ENDED)
    of_job = Run.job_id == Job.id
    open_run = exists().where(of_job, not_(run_ended))
    has_report = exists().where(Report.job_id == Job.id)
    yield (
        "work-of-ended-job",
        "runs of jobs that are over are queued or leased: retry or delete the job",
        select(Run.id).join(Job, of_job).where(job_ended, not_(run_ended)).order_by(Run.seq),
    )
    yield (
        "trial-of-ended-job",
        "trials of jobs that are over are active: retry or delete the job",
        select(Trial.id).join(Job, Trial.job_id == Job.id).where(job_ended, Trial.state == TrialState.ACTIVE),
    )
    yield (
        "stuck-job",
        "running jobs have neither work nor planning due, so that no worker will continue them: pause and resume them",
        _jobs(Job.state == JobState.RUNNING, not_(Job.plan_due), Job.lock_token.is_(None), not_(open_run)),
    )
    yield (
        "end-without-time",
        "jobs are over without a time, or open with one",
        _jobs(job_ended != Job.finished_at.is_not(None)),
    )
    yield (
        "run-end-without-time",
        "runs are over without a time, or open with one",
        _runs(run_ended != Run.finished_at.is_not(None)),
    )
    yield (
        "report",
        "jobs are completed without a report or a reason, or have one and are not completed",
        _jobs(
            or_(
                and_(Job.state == JobState.COMPLETED, Job.error.is_(None), not_(has_report)),
                and_(Job.state != JobState.COMPLETED, has_report),
            )
        ),
    )
    yield (
        "trial-of-run",
        "runs and their trials do not agree on the job or the number",
        select(Run.id)
        .join(Trial, Run.trial_id == Trial.id)
        .where(or_(Run.job_id != Trial.job_id, Run.trial_number != Trial.number)),
    )
    yield (
        "lease",
        "leases name no worker, or runs without one still have its device time open",
        _runs(
            or_(
                and_(Run.lease_token.is_not(None), Run.worker.is_(None)),
                and_(Run.lease_token.is_(None), Run.accounted_at.is_not(None)),
            )
        ),
    )
    yield (
        "step",
        "runs stand beyond their end, or their snapshots do",
        select(Run.id)
        .outerjoin(Snapshot, Snapshot.run_id == Run.id)
        .where(or_(Run.step > Run.total_steps, Run.step < 0, Snapshot.step > Run.total_steps))
        .order_by(Run.seq),
    )
    yield (
        "spent",
        "counts of updates, attempts or device time are below nothing",
        _runs(or_(Run.updates < 0, Run.shared_updates < 0, Run.attempts < 0, Run.device_seconds < 0)),
    )
    yield (
        "attempts",
        "more attempts of runs failed or were lost than there have been",
        _runs(
            or_(
                Run.failed_attempts < 0,
                Run.lost_in_a_row < 0,
                Run.lost_in_a_row > Run.lost_attempts,
                Run.failed_attempts + Run.lost_attempts > Run.attempts,
            )
        ),
    )
    yield (
        "stop",
        "runs were stopped early without a forecast that says why",
        _runs(Run.state == RunState.STOPPED, not_(exists().where(Forecast.run_id == Run.id, Forecast.stop))),
    )
    studies = table("studies", column("study_name", String))
    yield (
        "study",
        "jobs have trials but no study in Optuna's tables: those that are open get one with the next planning",
        _jobs(exists().where(Trial.job_id == Job.id), not_(exists().where(studies.c.study_name == Job.id))),
    )


def _jobs(*where: ColumnElement[bool]) -> Select[str]:
    return select(Job.id).where(*where).order_by(Job.seq)


def _runs(*where: ColumnElement[bool]) -> Select[str]:
    return select(Run.id).where(*where).order_by(Run.seq)


def _denormalized_columns(session: Session) -> Iterator[Finding]:
    """Jobs whose columns differ from the spec that they are copied from."""
    jobs = session.execute(
        select(Job.id, Job.spec, Job.team, Job.name, Job.shared, Job.workload, Job.priority).order_by(Job.seq)
    )
    message = "columns of jobs differ from their specs: change the job's name or priority once to write both"
    yield from _finding("spec", message, [job["id"] for job in jobs.mappings() if not _agree(job)])


def _agree(job: RowMapping) -> bool:
    spec = job["spec"]
    expected = (spec["team"], spec["workload"], spec.get("name", ""), spec.get("shared", False), spec["priority"])
    ranks = {priority.value: priority.rank for priority in Priority}
    return (*expected[:-1], ranks.get(expected[-1])) == tuple(
        job[name] for name in ("team", "workload", "name", "shared", "priority")
    )
