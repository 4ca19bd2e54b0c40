"""``/v1/tokens``: the API tokens of people and programs."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from tuner.api.people import DAY_SECONDS, NewToken, TokenRequest
from tuner.errors import InvalidValue, NotFound
from tuner.people.permissions import Principal, Role
from tuner.people.records import TEAM_NAME, USER_NAME, Member, TokenRecord
from tuner_service.access import ActorDep, PrincipalDep
from tuner_service.errors import Forbidden
from tuner_service.json_body import StrictRoute, strict_body
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import Id, ResourcesDep, StoreDep

router = APIRouter(prefix="/tokens", tags=["people"], route_class=StrictRoute)


@router.get("", summary="List tokens", responses=problem_responses(catalog.INVALID_REQUEST))
def list_tokens(
    principal: PrincipalDep,
    store: StoreDep,
    team: Annotated[
        str | None, Query(pattern=TEAM_NAME, max_length=100, description="Only tokens for this team.")
    ] = None,
    user: Annotated[
        str | None, Query(pattern=USER_NAME, max_length=100, description="Only tokens of this user.")
    ] = None,
    valid: Annotated[bool, Query(description="Only tokens that are neither revoked nor expired.")] = False,
) -> tuple[TokenRecord, ...]:
    """Your own tokens for your team; all of the team for its admins, and all of the service for the service's admins.

    The latest come first, a thousand at most. Their secrets are not stored and therefore not listed.
    """
    own = None if _manages(principal, team=principal.team) else principal.user
    tokens = store.people.tokens(team=team or principal.team, user=user or own, valid=valid)
    return tuple(token for token in tokens if _may_see(principal, token))


@router.post(
    "",
    summary="Create a token",
    status_code=HTTPStatus.CREATED,
    responses=problem_responses(
        catalog.FORBIDDEN,
        catalog.NOT_FOUND,
        catalog.LIMIT_REACHED,
        catalog.INVALID_REQUEST,
        catalog.BODY_TOO_LARGE,
        catalog.NOT_JSON,
    ),
)
def create_token(
    request: Annotated[TokenRequest, strict_body(TokenRequest)],
    response: Response,
    principal: PrincipalDep,
    actor: ActorDep,
    store: StoreDep,
) -> NewToken:
    """For yourself, with at most the rights of the calling token; as an admin, for any member of the team.

    Unless an admin creates it, it expires with the calling token at the latest, and is revoked with it. Only this
    response contains the secret.
    """
    user = request.user or principal.user
    team = principal.team if request.team is None else request.team
    role = request.role or principal.role
    _check(principal, user=user, team=team, role=role, no_expiry=request.lifetime_days is None)
    if not principal.runs_the_service and user != principal.user:
        _check_member(store.people.members(team) if team else (), user=user)
    lifetime = None if request.lifetime_days is None else request.lifetime_days * DAY_SECONDS
    parent_id = None if _manages(principal, team=team) else principal.token_id
    if parent_id is not None and "lifetime_days" in request.model_fields_set:
        _check_lifetime(request.lifetime_days, parent=store.people.token(parent_id), now=store.now())
    token, secret = store.people.create_token(
        user, team=team, role=role, label=request.label, lifetime=lifetime, parent_id=parent_id, by=actor
    )
    response.headers["Cache-Control"] = "no-store"
    return NewToken(token=token, secret=secret)


@router.delete(
    "/{token_id}",
    summary="Revoke a token",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problem_responses(catalog.NOT_FOUND, catalog.INVALID_REQUEST),
)
def revoke_token(token_id: Id, principal: PrincipalDep, actor: ActorDep, resources: ResourcesDep) -> None:
    """The token, the tokens that were created with it, and their browser sessions are refused from then on.

    You may revoke every token that you may see. Other services over the same database may accept it for another five
    seconds.
    """
    if not _may_see(principal, resources.store.people.token(token_id)):
        raise NotFound("token", key=token_id)
    resources.store.people.revoke_token(token_id, by=actor)
    resources.authenticator.forget()


def _manages(principal: Principal, *, team: str | None) -> bool:
    return principal.runs_the_service or (team is not None and principal.may_manage(team))


def _may_see(principal: Principal, token: TokenRecord) -> bool:
    own = token.user == principal.user and principal.team in (None, token.team)
    return own or _manages(principal, team=token.team)


def _check_member(members: Iterable[Member], *, user: str) -> None:
    """Check that a user is a member, so that a team's admin cannot find out which other users exist.

    Raises:
        NotFound: The user is no member.
    """
    if user not in {member.user for member in members}:
        raise NotFound("member", key=user, hint="GET /v1/teams/{team}/members lists them")


def _check_lifetime(days: float | None, *, parent: TokenRecord, now: float) -> None:
    """Check that a token does not outlive the one by which it is created.

    Raises:
        InvalidValue: It would.
    """
    if days is None or parent.expires_at is None or now + days * DAY_SECONDS <= parent.expires_at:
        return
    left = (parent.expires_at - now) / DAY_SECONDS
    raise InvalidValue(
        "lifetime_days",
        value=days,
        allowed=f"at most {left:.4g}, when the calling token expires",
        hint="Leave it out to create one that expires with it, or let an admin create a longer one",
    )


def _check(principal: Principal, *, user: str, team: str | None, role: Role, no_expiry: bool) -> None:
    """Check that the caller may create the token.

    Raises:
        Forbidden: It is for another user, for another team, has more rights, or does not expire.
    """
    if _manages(principal, team=team):
        return
    if principal.team not in (None, team):
        raise Forbidden(needed=f"a token for team {team}, or to be an admin of the whole service")
    if user != principal.user:
        raise Forbidden(needed="to be an admin of the team: others make tokens for themselves alone")
    if not principal.role.includes(role):
        raise Forbidden(needed=f"the role {role.value}")
    if no_expiry:
        raise Forbidden(needed="to be an admin: the tokens of others expire")
