"""``/v1/queue``: whose turn it is, and why."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from tuner.jobs.records import QueueEntry, TeamShare
from tuner_service.access import PrincipalDep
from tuner_service.examples import ENTRY, SHARE, answer
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/queue", tags=["queue"])


@dataclass(frozen=True, kw_only=True)
class QueueView:
    """The open jobs that somebody may see, in the order in which it is their turn."""

    items: tuple[QueueEntry, ...]


@router.get("", summary="Show the queue", responses=answer(QueueView(items=(ENTRY,))))
def show_queue(store: StoreDep, asking: PrincipalDep) -> QueueView:
    """The open jobs that you may see, with the position of each and the reason for it.

    Positions count everybody's jobs, those that you may not see too.
    """
    return QueueView(items=store.queue.view(visibility=asking.visibility))


@router.get("/shares", summary="Show the teams' shares", responses=answer((SHARE,)))
def show_shares(store: StoreDep) -> tuple[TeamShare, ...]:
    """What each team has had of the devices in the window that shares are counted over, against its weight."""
    return store.queue.shares()
