"""What a viewer may see, as a condition on jobs; `tuner.people.permissions` grants it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, true

from tuner.people.permissions import Visibility
from tuner.store.db.models import Job


def visible_jobs(visibility: Visibility) -> ColumnElement[bool]:
    """The jobs that a viewer may see: those of the viewer's teams, and shared ones."""
    if visibility.teams is None:
        return true()
    return or_(Job.team.in_(sorted(visibility.teams)), Job.shared)
