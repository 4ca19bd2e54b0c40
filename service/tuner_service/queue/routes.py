"""``/v1/queue``: queue positions and the teams' fair shares."""

from __future__ import annotations

from fastapi import APIRouter

from tuner.api.queue import QueueView
from tuner.jobs.records import TeamShare
from tuner_service.access import PrincipalDep
from tuner_service.limits.expensive import EXPENSIVE
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/queue", tags=["queue"])


@router.get("", summary="Get the queue: the position of each job", dependencies=[EXPENSIVE])
def get_queue(store: StoreDep, principal: PrincipalDep) -> QueueView:
    """The open jobs that you may see in queue order, with the position of each and the reason for it.

    Positions count the jobs of all teams, including those that you may not see.
    """
    return QueueView(items=store.queue.view(visibility=principal.visibility))


@router.get("/shares", summary="List the teams' fair shares")
def list_shares(store: StoreDep) -> tuple[TeamShare, ...]:
    """The device time of each team in the window of the fair share, and the team's weight."""
    return store.queue.shares()
