"""People: teams, users, tokens, and who did what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.client.answers import Me, NewToken
from tuner.client.transport import Keep, Transport, given, part
from tuner.people.permissions import Role
from tuner.people.records import AuditRecord, Member, TeamRecord, TeamSettings, TokenRecord, UserRecord


class People:
    """The requests that are about people; `tuner.client.Client.people`.

    Args:
        http: The connections to the service.
    """

    def __init__(self, http: Transport) -> None:
        self._http = http

    def me(self) -> Me:
        """Who the service takes this client for."""
        return self._http.get(Me, "/v1/me")

    def teams(self) -> tuple[TeamRecord, ...]:
        """The teams."""
        return self._http.get(tuple[TeamRecord, ...], "/v1/teams")

    def team(self, name: str) -> TeamRecord:
        """One team."""
        return self._http.get(TeamRecord, f"/v1/teams/{part(name)}")

    def put_team(self, name: str, settings: TeamSettings | Mapping[str, Any]) -> TeamRecord:
        """Make a team, or change one.

        Args:
            name: The team.
            settings: All of its settings; those left out take their defaults.
        """
        return self._http.send(TeamRecord, "PUT", f"/v1/teams/{part(name)}", body=settings)

    def delete_team(self, name: str) -> None:
        """Delete a team that has no jobs, members and tokens."""
        self._http.ask("DELETE", f"/v1/teams/{part(name)}")

    def members(self, team: str) -> tuple[Member, ...]:
        """Who is in a team."""
        return self._http.get(tuple[Member, ...], f"/v1/teams/{part(team)}/members")

    def put_member(self, team: str, user: str, *, role: Role) -> Member:
        """Take a user into a team, or give another role in it."""
        path = f"/v1/teams/{part(team)}/members/{part(user)}"
        return self._http.send(Member, "PUT", path, body={"role": role.value})

    def remove_member(self, team: str, user: str) -> None:
        """Take a user out of a team; the user's tokens for it are revoked."""
        self._http.ask("DELETE", f"/v1/teams/{part(team)}/members/{part(user)}")

    def users(self) -> tuple[UserRecord, ...]:
        """The users."""
        return self._http.get(tuple[UserRecord, ...], "/v1/users")

    def user(self, name: str) -> UserRecord:
        """One user."""
        return self._http.get(UserRecord, f"/v1/users/{part(name)}")

    def put_user(self, name: str, *, admin: bool | None = None, disabled: bool | None = None) -> UserRecord:
        """Make a user, or change one.

        Args:
            name: The user.
            admin: Whether the user runs the service.
            disabled: Whether none of the user's tokens is good.
        """
        body = given({"admin": admin, "disabled": disabled})
        return self._http.send(UserRecord, "PUT", f"/v1/users/{part(name)}", body=body)

    def tokens(
        self, *, team: str | None = None, user: str | None = None, good: bool = False
    ) -> tuple[TokenRecord, ...]:
        """The tokens that may be seen: one's own, and for admins those of the team.

        Args:
            team: Only those for this team.
            user: Only this user's.
            good: Only those that are neither revoked nor expired.
        """
        params = {"team": team, "user": user, "good": good or None}
        return self._http.get(tuple[TokenRecord, ...], "/v1/tokens", params=params)

    def create_token(
        self,
        *,
        user: str | None = None,
        team: str | None = None,
        role: Role | None = None,
        label: str | None = None,
        lifetime_days: float | Keep | None = Keep.KEEP,
    ) -> NewToken:
        """Make a token. Its secret is in the answer, and nowhere else ever after.

        Args:
            user: Whose it is; one's own when absent.
            team: For which team; one's own when absent.
            role: What it allows at most.
            label: What it is for.
            lifetime_days: Days after which it is no longer good; the service's usual when absent, never when ``None``.
        """
        asked = given({"user": user, "team": team, "role": role, "label": label})
        if lifetime_days is not Keep.KEEP:
            asked["lifetime_days"] = lifetime_days
        return self._http.send(NewToken, "POST", "/v1/tokens", body=asked)

    def revoke_token(self, token_id: str) -> None:
        """Make a token no longer good."""
        self._http.ask("DELETE", f"/v1/tokens/{part(token_id)}")

    def audit(
        self, *, team: str | None = None, actor: str | None = None, action: str | None = None
    ) -> Iterator[AuditRecord]:
        """Who did what, the latest first; pages are fetched as they are needed.

        Args:
            team: Only what concerns this team.
            actor: Only what this user did.
            action: Only this kind of deed: ``"job.cancel"``.
        """
        return self._http.pages(
            AuditRecord, "/v1/audit", params=given({"team": team, "actor": actor, "action": action})
        )
