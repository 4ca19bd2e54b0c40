"""What is said about a job before it is submitted. Pure: the queue and the refusals are told, not looked up."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.errors import InvalidValue, LimitReached, TunerError
from tuner.jobs.admission.strict_json import refusal_of
from tuner.jobs.priority import Priority
from tuner.jobs.records import QueueEntry, TeamShare
from tuner_service.jobs.schemas import Obstacle


def obstacle(error: TunerError) -> Obstacle:
    """A refusal as a preview tells it."""
    match error:
        case LimitReached():
            return Obstacle(field=None, limit=error.limit, message=str(error))
        case InvalidValue():
            refusal = refusal_of(error)
            return Obstacle(field=refusal.field, limit=None, message=refusal.message)
        case _:
            return Obstacle(field="team", limit=None, message=str(error))


def queue_ahead(entries: Sequence[QueueEntry], *, shares: Sequence[TeamShare], team: str, priority: Priority) -> int:
    """How many waiting jobs would go before a new one.

    Those of a higher class; and of the same class those of its own team, which are older, and of teams that have had
    no more of the devices for their weight.

    Args:
        entries: The queue, everybody's.
        shares: What each team has had; one that is not among them has had nothing.
        team: The new job's.
        priority: The new job's.
    """
    had = {share.team: share.device_seconds / share.weight for share in shares}
    ours = had.get(team, 0.0)

    def goes_first(entry: QueueEntry) -> bool:
        if entry.priority is not priority:
            return entry.priority.rank > priority.rank
        return entry.team == team or had.get(entry.team, 0.0) <= ours

    return sum(entry.position is not None and goes_first(entry) for entry in entries)
