"""``/v1/audit``: the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from tuner.api.people import AuditPage
from tuner.people.permissions import Role
from tuner.people.records import TEAM_NAME, USER_NAME
from tuner_service.access import PrincipalDep, require
from tuner_service.errors import Forbidden
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/audit", tags=["people"])


@router.get(
    "",
    summary="List audit log entries",
    dependencies=[Depends(require(Role.ADMIN))],
    responses=problem_responses(catalog.FORBIDDEN, catalog.INVALID_REQUEST),
)
def list_audit_entries(
    principal: PrincipalDep,
    store: StoreDep,
    team: Annotated[
        str | None, Query(pattern=TEAM_NAME, max_length=100, description="Only entries that concern this team.")
    ] = None,
    actor: Annotated[
        str | None, Query(pattern=USER_NAME, max_length=100, description="Only actions of this user.")
    ] = None,
    action: Annotated[
        str | None,
        Query(
            pattern=r"^[a-z_]+(\.[a-z_]+)?$",
            max_length=50,
            description="Only this action: `job.cancel`, or `job` for all actions on jobs.",
        ),
    ] = None,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,18}$", description="`next_cursor` of the previous page.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Entries per page.")] = 100,
) -> AuditPage:
    """Who changed what, and when, the latest first. Entries are never changed.

    For admins: a team's admin reads the entries of the team, an admin of the service reads all.
    """
    if principal.team is not None and team not in (None, principal.team):
        raise Forbidden(needed="to be an admin of that team, or of the whole service")
    page = store.audit.page(team=principal.team or team, actor=actor, action=action, cursor=cursor, limit=limit)
    return AuditPage(items=page.items, next_cursor=page.next_cursor)
