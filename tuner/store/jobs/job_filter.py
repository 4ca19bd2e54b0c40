"""The filter of the job list."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, or_, true

from tuner.jobs.states import JobState
from tuner.store.db.models import Job


def matches_filter(
    *,
    states: Collection[JobState] | None,
    team: str | None,
    workload: str | None,
    owner: str | None,
    text: str | None,
) -> ColumnElement[bool]:
    """The jobs that match a filter; an absent criterion matches every job."""
    conditions: list[ColumnElement[bool]] = [
        column == wanted
        for column, wanted in ((Job.team, team), (Job.workload, workload), (Job.owner, owner))
        if wanted is not None
    ]
    if states is not None:
        conditions.append(Job.state.in_(states))
    if text:
        conditions.append(_containing(text))
    return and_(true(), *conditions)


def _containing(text: str) -> ColumnElement[bool]:
    notes = Job.spec["notes"].as_string()
    somewhere = (column.icontains(text, autoescape=True) for column in (Job.name, Job.workload, notes))
    return or_(*somewhere, Job.id.startswith(text.lower(), autoescape=True))
