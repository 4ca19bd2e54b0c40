"""``/v1/me`` and ``/v1/users``: the caller's identity, and the users."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from tuner.api.people import Me, UserChange
from tuner.people.records import UserRecord
from tuner_service.access import ActorDep, PrincipalDep, running_the_service
from tuner_service.auth.sessions import Session
from tuner_service.errors import Forbidden
from tuner_service.json_body import StrictRoute, strict_body
from tuner_service.people.names import UserName
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import ResourcesDep, StoreDep

router = APIRouter(tags=["people"], route_class=StrictRoute)

_FORBIDDEN = problem_responses(catalog.FORBIDDEN)


@router.get("/me", summary="Get your own identity and rights")
def get_me(request: Request, principal: PrincipalDep, resources: ResourcesDep) -> Me:
    """Your name, your team, and the rights of your token. Where no login is required, every caller is `local`."""
    session: Session | None = request.state.session
    authenticated = principal.token_id is not None
    return Me(
        user=principal.user,
        team=principal.team,
        role=principal.role,
        token_id=principal.token_id,
        runs_the_service=principal.runs_the_service,
        memberships=resources.store.people.user(principal.user).memberships if authenticated else (),
        csrf_token=resources.authenticator.sessions.csrf_token(session) if session else None,
    )


@router.get("/users", summary="List users", dependencies=[Depends(running_the_service)], responses=_FORBIDDEN)
def list_users(store: StoreDep) -> tuple[UserRecord, ...]:
    """All users with their teams. For the service's admins."""
    return store.people.users()


@router.get(
    "/users/{user}",
    summary="Get a user",
    responses=_FORBIDDEN | problem_responses(catalog.NOT_FOUND, catalog.INVALID_REQUEST),
)
def get_user(user: UserName, principal: PrincipalDep, store: StoreDep) -> UserRecord:
    """Yourself; for the service's admins, any user."""
    if user != principal.user and not principal.runs_the_service:
        raise Forbidden(needed="to be that user, or an admin of the whole service")
    return store.people.user(user)


@router.put(
    "/users/{user}",
    summary="Create or update a user",
    dependencies=[Depends(running_the_service)],
    responses=_FORBIDDEN
    | problem_responses(catalog.STATE_CONFLICT, catalog.INVALID_REQUEST, catalog.BODY_TOO_LARGE, catalog.NOT_JSON),
)
def put_user(
    user: UserName,
    change: Annotated[UserChange, strict_body(UserChange)],
    actor: ActorDep,
    resources: ResourcesDep,
) -> UserRecord:
    """All tokens of a disabled user are refused. Users are never deleted: the audit log refers to them.

    For the service's admins, of whom at least one always remains.
    """
    user_record = resources.store.people.put_user(user, admin=change.admin, disabled=change.disabled, by=actor)
    resources.authenticator.forget()
    return user_record
