"""``/v1/me`` and ``/v1/users``: who logs in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request

from tuner.people.records import UserRecord
from tuner_service.access import ActorDep, PrincipalDep, running_the_service
from tuner_service.auth.sessions import Session
from tuner_service.errors import Forbidden
from tuner_service.examples import answer
from tuner_service.json_body import strictly
from tuner_service.people import schemas
from tuner_service.people.names import UserName
from tuner_service.people.schemas import ME, USER, Me, UserChange
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import ResourcesDep, StoreDep

router = APIRouter(tags=["people"])

_FORBIDDEN = declared(catalog.FORBIDDEN)
_CHANGE = schemas.asked({"disabled": True})


@router.get("/me", summary="Who the service takes you for", responses=answer(ME))
def show_me(request: Request, asking: PrincipalDep, resources: ResourcesDep) -> Me:
    """Your name, what your token is for, and what it allows. Where nobody logs in, everybody is `local`."""
    session: Session | None = request.state.session
    known = asking.token_id is not None
    return Me(
        user=asking.user,
        team=asking.team,
        role=asking.role,
        token_id=asking.token_id,
        runs_the_service=asking.runs_the_service,
        memberships=resources.store.people.user(asking.user).memberships if known else (),
        csrf_token=resources.guard.sessions.csrf_token(session) if session else None,
    )


@router.get(
    "/users",
    summary="List users",
    dependencies=[Depends(running_the_service)],
    responses={**answer([USER]), **_FORBIDDEN},
)
def list_users(store: StoreDep) -> tuple[UserRecord, ...]:
    """Everybody who logs in, with the teams they belong to. For the service's admins."""
    return store.people.users()


@router.get(
    "/users/{user}",
    summary="Show a user",
    responses={**answer(USER), **_FORBIDDEN, **declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST)},
)
def show_user(user: UserName, asking: PrincipalDep, store: StoreDep) -> UserRecord:
    """Yourself; for the service's admins, anybody."""
    if user != asking.user and not asking.runs_the_service:
        raise Forbidden(needed="to be that user, or an admin of the whole service")
    return store.people.user(user)


@router.put(
    "/users/{user}",
    summary="Make or change a user",
    dependencies=[Depends(running_the_service)],
    responses={
        **answer(USER),
        **_FORBIDDEN,
        **declared(catalog.STATE_CONFLICT, catalog.INVALID_REQUEST, catalog.BODY_TOO_LARGE, catalog.NOT_JSON),
    },
)
def put_user(
    user: UserName,
    request: Annotated[UserChange, strictly(UserChange), Body(openapi_examples=_CHANGE)],
    by: ActorDep,
    resources: ResourcesDep,
) -> UserRecord:
    """A disabled user's tokens are all refused. Users are never deleted: their deeds stay on record.

    For the service's admins, of whom one always stays.
    """
    changed = resources.store.people.put_user(user, admin=request.admin, disabled=request.disabled, by=by)
    resources.guard.forget()
    return changed
