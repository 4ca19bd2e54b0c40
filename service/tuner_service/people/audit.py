"""``/v1/audit``: who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from tuner.people.permissions import Role
from tuner.people.records import TEAM_NAME, USER_NAME
from tuner_service.access import PrincipalDep, require
from tuner_service.errors import Forbidden
from tuner_service.examples import answer
from tuner_service.people.schemas import AUDIT_PAGE, AuditPage
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/audit", tags=["people"])


@router.get(
    "",
    summary="Read the audit log",
    dependencies=[Depends(require(Role.ADMIN))],
    responses={**answer(AUDIT_PAGE), **declared(catalog.FORBIDDEN, catalog.INVALID_REQUEST)},
)
def read_audit(
    asking: PrincipalDep,
    store: StoreDep,
    team: Annotated[
        str | None, Query(pattern=TEAM_NAME, max_length=100, description="Only what concerns this team.")
    ] = None,
    actor: Annotated[
        str | None, Query(pattern=USER_NAME, max_length=100, description="Only what this user did.")
    ] = None,
    action: Annotated[
        str | None,
        Query(
            pattern=r"^[a-z_]+(\.[a-z_]+)?$",
            max_length=50,
            description="Only this: `job.cancel`, or `job` for all of it.",
        ),
    ] = None,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,18}$", description="`next_cursor` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="At most so many.")] = 100,
) -> AuditPage:
    """Who changed what, and when, the latest first; entries are never changed.

    For admins: those of a team read what concerns their team, those of the service everything.
    """
    if asking.team is not None and team not in (None, asking.team):
        raise Forbidden(needed="to be an admin of that team, or of the whole service")
    page = store.audit.page(team=asking.team or team, actor=actor, action=action, cursor=cursor, limit=limit)
    return AuditPage(items=page.items, next_cursor=page.next_cursor)
