"""Teams, users, tokens, and the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.api.people import AuditPage, Me, NewToken
from tuner.client.transport import Transport, path_segment, without_none
from tuner.errors import MISSING, Missing
from tuner.people.permissions import Role
from tuner.people.records import AuditRecord, Member, TeamRecord, TeamSettings, TokenRecord, UserRecord


class PeopleApi:
    """Requests about people; `tuner.client.Client.people`.

    Args:
        http: The connections to the service.
    """

    def __init__(self, http: Transport) -> None:
        self._http = http

    def me(self) -> Me:
        """The caller's identity and rights."""
        return self._http.get(Me, "/v1/me")

    def teams(self) -> tuple[TeamRecord, ...]:
        """The teams."""
        return self._http.get(tuple[TeamRecord, ...], "/v1/teams")

    def team(self, name: str) -> TeamRecord:
        """One team."""
        return self._http.get(TeamRecord, f"/v1/teams/{path_segment(name)}")

    def put_team(self, name: str, settings: TeamSettings | Mapping[str, Any]) -> TeamRecord:
        """Create or update a team.

        Args:
            name: The team.
            settings: All of its settings; absent ones take their defaults.
        """
        return self._http.send(TeamRecord, "PUT", f"/v1/teams/{path_segment(name)}", body=settings)

    def delete_team(self, name: str) -> None:
        """Delete a team that has no jobs, members and tokens."""
        self._http.request("DELETE", f"/v1/teams/{path_segment(name)}")

    def members(self, team: str) -> tuple[Member, ...]:
        """The members of a team."""
        return self._http.get(tuple[Member, ...], f"/v1/teams/{path_segment(team)}/members")

    def put_member(self, team: str, user: str, *, role: Role) -> Member:
        """Add a user to a team, or change the role."""
        path = f"/v1/teams/{path_segment(team)}/members/{path_segment(user)}"
        return self._http.send(Member, "PUT", path, body={"role": role})

    def remove_member(self, team: str, user: str) -> None:
        """Remove a user from a team. The user's tokens for it are revoked."""
        self._http.request("DELETE", f"/v1/teams/{path_segment(team)}/members/{path_segment(user)}")

    def users(self) -> tuple[UserRecord, ...]:
        """The users."""
        return self._http.get(tuple[UserRecord, ...], "/v1/users")

    def user(self, name: str) -> UserRecord:
        """One user."""
        return self._http.get(UserRecord, f"/v1/users/{path_segment(name)}")

    def put_user(self, name: str, *, admin: bool | None = None, disabled: bool | None = None) -> UserRecord:
        """Create or update a user.

        Args:
            name: The user.
            admin: Whether the user is an admin of the whole service.
            disabled: Whether all tokens of the user are refused.
        """
        body = without_none({"admin": admin, "disabled": disabled})
        return self._http.send(UserRecord, "PUT", f"/v1/users/{path_segment(name)}", body=body)

    def tokens(
        self, *, team: str | None = None, user: str | None = None, valid: bool = False
    ) -> tuple[TokenRecord, ...]:
        """The tokens that the caller may see: the own ones, and for admins those of the team.

        Args:
            team: Only tokens for this team.
            user: Only tokens of this user.
            valid: Only tokens that are neither revoked nor expired.
        """
        params = {"team": team, "user": user, "valid": valid or None}
        return self._http.get(tuple[TokenRecord, ...], "/v1/tokens", params=params)

    def create_token(
        self,
        *,
        user: str | None = None,
        team: str | None = None,
        role: Role | None = None,
        label: str | None = None,
        lifetime_days: float | Missing | None = MISSING,
    ) -> NewToken:
        """Create a token. Only this result contains its secret.

        Args:
            user: The user of the token; the caller when absent.
            team: The team of the token; the caller's when absent.
            role: The highest role of the token.
            label: What the token is for.
            lifetime_days: Days until it expires; the service's default when absent, never when ``None``.
        """
        body = without_none({"user": user, "team": team, "role": role, "label": label})
        if not isinstance(lifetime_days, Missing):
            body["lifetime_days"] = lifetime_days
        return self._http.send(NewToken, "POST", "/v1/tokens", body=body)

    def revoke_token(self, token_id: str) -> None:
        """Revoke a token."""
        self._http.request("DELETE", f"/v1/tokens/{path_segment(token_id)}")

    def audit(
        self, *, team: str | None = None, actor: str | None = None, action: str | None = None
    ) -> Iterator[AuditRecord]:
        """The audit log, the latest entry first. Pages are requested when they are needed.

        Args:
            team: Only entries that concern this team.
            actor: Only actions of this user.
            action: Only this action: ``"job.cancel"``.
        """
        return self._http.pages(
            AuditPage, "/v1/audit", params=without_none({"team": team, "actor": actor, "action": action})
        )
