"""Two teams that share a service, their users and the users' tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient

from tuner.people.permissions import Role
from tuner.people.records import TeamSettings
from tuner.store import Store

VISION, SPEECH = "vision", "speech"


@dataclass(frozen=True)
class Team:
    """Secrets by user: ada administers the service; ben is admin of vision, cleo a submitter, dan a viewer; eve submits
    for speech."""

    ada: str
    ben: str
    cleo: str
    dan: str
    eve: str


def settle(store: Store) -> Team:
    """Make the teams, their members, and a token for each."""
    for team in (VISION, SPEECH):
        store.people.put_team(team, TeamSettings())
    store.people.put_user("ada", admin=True)
    _, ada = store.people.create_token("ada", team=None, role=Role.ADMIN)
    members = {
        "ben": (VISION, Role.ADMIN),
        "cleo": (VISION, Role.SUBMITTER),
        "dan": (VISION, Role.VIEWER),
        "eve": (SPEECH, Role.SUBMITTER),
    }
    return Team(ada=ada, **{user: _join(store, user, team=team, role=role) for user, (team, role) in members.items()})


def as_user(secret: str) -> dict[str, str]:
    """The headers of a user's requests."""
    return {"Authorization": f"Bearer {secret}"}


def asking(client: TestClient, secret: str, method: str, path: str, **given: Any) -> Any:
    """Send a request as a user, and return the response."""
    return client.request(method, path, headers=as_user(secret) | given.pop("headers", {}), **given)


def _join(store: Store, user: str, *, team: str, role: Role) -> str:
    store.people.put_user(user)
    store.people.put_member(team, user, role)
    return store.people.create_token(user, team=team, role=role)[1]
