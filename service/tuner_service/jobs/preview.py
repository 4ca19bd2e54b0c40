"""Refusals and queue position of a job before it is submitted. Pure: the caller passes the queue and the errors."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.api.jobs import Refusal
from tuner.errors import InvalidValue, LimitReached, TunerError
from tuner.jobs.admission.strict_json import refusal_of
from tuner.jobs.priority import Priority
from tuner.jobs.records import QueueEntry, TeamShare


def to_refusal(error: TunerError) -> Refusal:
    """Converts an error of admission to an entry of the preview."""
    match error:
        case LimitReached():
            return Refusal(field=None, limit=error.limit, message=str(error))
        case InvalidValue():
            refusal = refusal_of(error)
            return Refusal(field=refusal.field, limit=None, message=refusal.message)
        case _:
            return Refusal(field="team", limit=None, message=str(error))


def jobs_ahead(entries: Sequence[QueueEntry], *, shares: Sequence[TeamShare], team: str, priority: Priority) -> int:
    """Counts the waiting jobs that would run before a new one.

    Jobs of a higher class run first. Within a class these run first: older jobs of the same team, and jobs of teams
    that have used no more device time for their weight.

    Args:
        entries: The queue with the jobs of all teams.
        shares: Device time of each team; a team that is absent has used none.
        team: The new job's.
        priority: The new job's.
    """
    usage = {share.team: share.device_seconds / share.weight for share in shares}
    own_usage = usage.get(team, 0.0)

    def runs_first(entry: QueueEntry) -> bool:
        if entry.priority is not priority:
            return entry.priority.rank > priority.rank
        return entry.team == team or usage.get(entry.team, 0.0) <= own_usage

    return sum(entry.position is not None and runs_first(entry) for entry in entries)
