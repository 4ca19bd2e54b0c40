"""``/v1/tokens``: what people and programs log in with."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from tuner.errors import NotFound
from tuner.people.permissions import Principal, Role
from tuner.people.records import TEAM_NAME, USER_NAME, Member, TokenRecord
from tuner_service.access import ActorDep, PrincipalDep
from tuner_service.errors import Forbidden
from tuner_service.examples import answer
from tuner_service.json_body import strictly
from tuner_service.people import schemas
from tuner_service.people.schemas import DAY_SECONDS, NEW_TOKEN, TOKEN, NewToken, TokenRequest
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import Id, ResourcesDep, StoreDep

router = APIRouter(prefix="/tokens", tags=["people"])

_REQUEST = schemas.asked({"role": "submitter", "label": "laptop", "lifetime_days": 30})


@router.get("", summary="List tokens", responses={**answer([TOKEN]), **declared(catalog.INVALID_REQUEST)})
def list_tokens(
    asking: PrincipalDep,
    store: StoreDep,
    team: Annotated[
        str | None, Query(pattern=TEAM_NAME, max_length=100, description="Only those for this team.")
    ] = None,
    user: Annotated[str | None, Query(pattern=USER_NAME, max_length=100, description="Only this user's.")] = None,
    good: Annotated[bool, Query(description="Only those that are neither revoked nor expired.")] = False,
) -> tuple[TokenRecord, ...]:
    """Your own for the team that you are logged in for; for its admins the team's, and for the service's admins all.

    Without their secrets, which nobody has but whom they were shown to; the latest first.
    """
    found = store.people.tokens(team=team, user=user, valid=good)
    return tuple(token for token in found if _may_see(asking, token))


@router.post(
    "",
    summary="Make a token",
    status_code=HTTPStatus.CREATED,
    responses={
        **answer(NEW_TOKEN, status=HTTPStatus.CREATED),
        **declared(
            catalog.FORBIDDEN, catalog.NOT_FOUND, catalog.INVALID_REQUEST, catalog.BODY_TOO_LARGE, catalog.NOT_JSON
        ),
    },
)
def create_token(
    request: Annotated[TokenRequest, strictly(TokenRequest), Body(openapi_examples=_REQUEST)],
    response: Response,
    asking: PrincipalDep,
    by: ActorDep,
    store: StoreDep,
) -> NewToken:
    """For yourself, with no more rights than the token that asks; or, as an admin, for a member of the team.

    The answer tells the secret this once.
    """
    user = request.user or asking.user
    team = asking.team if request.team is None else request.team
    role = request.role or asking.role
    _check(asking, user=user, team=team, role=role, for_ever=request.lifetime_days is None)
    if not asking.runs_the_service and user != asking.user:
        _check_member(store.people.members(team) if team else (), user=user)
    lifetime = None if request.lifetime_days is None else request.lifetime_days * DAY_SECONDS
    token, secret = store.people.create_token(user, team=team, role=role, label=request.label, lifetime=lifetime, by=by)
    response.headers["Cache-Control"] = "no-store"
    return NewToken(token=token, secret=secret)


@router.delete(
    "/{token_id}",
    summary="Revoke a token",
    status_code=HTTPStatus.NO_CONTENT,
    responses=declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST),
)
def revoke_token(token_id: Id, asking: PrincipalDep, by: ActorDep, resources: ResourcesDep) -> None:
    """It is refused from then on, as are the browsers that logged in with it. Whoever may see a token may revoke it.

    Other services over the same database may take it for another five seconds.
    """
    if not _may_see(asking, resources.store.people.token(token_id)):
        raise NotFound("token", key=token_id)
    resources.store.people.revoke_token(token_id, by=by)
    resources.guard.forget()


def _manages(asking: Principal, *, team: str | None) -> bool:
    return asking.runs_the_service or (team is not None and asking.may_manage(team))


def _may_see(asking: Principal, token: TokenRecord) -> bool:
    own = token.user == asking.user and asking.team in (None, token.team)
    return own or _manages(asking, team=token.team)


def _check_member(members: Iterable[Member], *, user: str) -> None:
    """Refuse to tell those who manage a team who else there is.

    Raises:
        NotFound: The user is no member.
    """
    if user not in {member.user for member in members}:
        raise NotFound("member", key=user, hint="GET /v1/teams/{team}/members lists them")


def _check(asking: Principal, *, user: str, team: str | None, role: Role, for_ever: bool) -> None:
    """Refuse a token that whoever asks may not make.

    Raises:
        Forbidden: It is for somebody else, for another team, for more rights, or for ever.
    """
    if _manages(asking, team=team):
        return
    if asking.team not in (None, team):
        raise Forbidden(needed=f"a token for team {team}, or to be an admin of the whole service")
    if user != asking.user:
        raise Forbidden(needed="to be an admin of the team: others make tokens for themselves alone")
    if not asking.role.includes(role):
        raise Forbidden(needed=f"the role {role.value}")
    if for_ever:
        raise Forbidden(needed="to be an admin: the tokens of others expire")
