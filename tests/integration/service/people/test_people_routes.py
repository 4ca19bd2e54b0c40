from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.integration.service.team import Team, as_user, asking, settle
from tuner.store import Store
from tuner_service.settings import Settings

DAY = 86_400.0


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    (tmp_path / "tuner.db").write_bytes(empty_database.read_bytes())
    return Settings(data_dir=tmp_path, auth="on", event_poll_interval=timedelta(milliseconds=20))


@pytest.fixture
def team(store: Store) -> Team:
    return settle(store)


class Ask:
    """Requests of people, and what they are answered."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def __call__(self, secret: str, method: str, path: str, **given: Any) -> tuple[int, Any]:
        answer = asking(self._client, secret, method, f"/v1{path}", **given)
        return answer.status_code, answer.json() if answer.content else None


@pytest.fixture
def ask(api: TestClient) -> Ask:
    return Ask(api)


def test_me_returns_the_callers_identity_and_rights(ask: Ask, team: Team):
    status, me = ask(team.cleo, "GET", "/me")
    assert status == 200
    assert me.pop("token_id")
    assert me == {
        "user": "cleo",
        "team": "vision",
        "role": "submitter",
        "runs_the_service": False,
        "memberships": [{"team": "vision", "user": "cleo", "role": "submitter"}],
        "csrf_token": None,
    }
    assert ask(team.ada, "GET", "/me")[1]["runs_the_service"]


def test_only_the_services_admins_make_teams_and_users(ask: Ask, team: Team):
    for secret in (team.ben, team.cleo, team.dan, team.eve):
        for method, path, body in (
            ("PUT", "/teams/vision", {}),
            ("PUT", "/teams/robots", {}),
            ("DELETE", "/teams/vision", None),
            ("GET", "/users", None),
            ("PUT", "/users/fay", {}),
            ("PUT", "/users/ben", {"admin": True}),
        ):
            status, problem = ask(secret, method, path, json=body)
            assert (status, problem["type"]) == (403, "/problems/forbidden"), (method, path)
    assert ask(team.ada, "PUT", "/teams/robots", json={"weight": 2})[1]["settings"]["weight"] == 2
    assert ask(team.ada, "PUT", "/users/fay", json={})[1]["admin"] is False
    assert ask(team.ada, "DELETE", "/teams/robots") == (204, None)


def test_a_viewer_for_every_team_runs_nothing(ask: Ask, team: Team):
    _, made = ask(team.ada, "POST", "/tokens", json={"role": "viewer"})
    viewer = made["secret"]
    assert len(ask(viewer, "GET", "/teams")[1]) == 2
    for method, path, body in (
        ("PUT", "/teams/vision", {}),
        ("GET", "/users", None),
        ("PUT", "/teams/vision/members/dan", {"role": "admin"}),
        ("POST", "/tokens", {"user": "ben", "team": "vision", "role": "viewer"}),
        ("POST", "/tokens", {"role": "admin"}),
        ("POST", "/tokens", {"lifetime_days": None}),
        ("GET", "/audit", None),
    ):
        assert ask(viewer, method, path, json=body)[0] == 403, path


def test_other_teams_are_not_there(ask: Ask, team: Team):
    for path in ("/teams/speech", "/teams/none", "/teams/speech/members"):
        assert ask(team.ben, "GET", path)[0] == 404
    for method, body in (("PUT", {"role": "viewer"}), ("DELETE", None)):
        for path in ("/teams/speech/members/eve", "/teams/none/members/eve"):
            assert ask(team.ben, method, path, json=body)[0] == 404
    assert [one["name"] for one in ask(team.ben, "GET", "/teams")[1]] == ["vision"]
    assert [one["name"] for one in ask(team.ada, "GET", "/teams")[1]] == ["speech", "vision"]
    assert ask(team.dan, "GET", "/teams/vision")[0] == 200


def test_a_teams_admin_manages_its_members(ask: Ask, team: Team):
    assert ask(team.ben, "PUT", "/teams/vision/members/eve", json={"role": "viewer"})[0] == 200
    assert len(ask(team.dan, "GET", "/teams/vision/members")[1]) == 4
    assert ask(team.ben, "DELETE", "/teams/vision/members/eve") == (204, None)
    assert ask(team.ben, "PUT", "/teams/vision/members/nobody", json={"role": "viewer"})[0] == 404
    for secret in (team.cleo, team.dan):
        assert ask(secret, "PUT", "/teams/vision/members/dan", json={"role": "admin"})[0] == 403
        assert ask(secret, "DELETE", "/teams/vision/members/ben")[0] == 403


def test_who_leaves_is_out_at_once(ask: Ask, team: Team):
    assert ask(team.dan, "GET", "/me")[0] == 200
    ask(team.ben, "DELETE", "/teams/vision/members/dan")
    assert ask(team.dan, "GET", "/me")[0] == 401
    assert ask(team.eve, "GET", "/me")[0] == 200
    ask(team.ada, "PUT", "/users/eve", json={"disabled": True})
    assert ask(team.eve, "GET", "/me")[0] == 401
    ask(team.ada, "PUT", "/users/eve", json={"disabled": False})
    assert ask(team.eve, "GET", "/me")[0] == 200


def test_a_role_that_shrinks_shrinks_at_once(ask: Ask, team: Team):
    assert ask(team.ben, "GET", "/audit")[0] == 200
    ask(team.ada, "PUT", "/teams/vision/members/ben", json={"role": "viewer"})
    assert ask(team.ben, "GET", "/audit")[0] == 403


def test_a_user_sees_no_other_user(ask: Ask, team: Team):
    assert ask(team.cleo, "GET", "/users/cleo")[1]["name"] == "cleo"
    for name in ("ben", "eve", "nobody"):
        status, problem = ask(team.cleo, "GET", f"/users/{name}")
        assert (status, problem["needed"]) == (403, "to be that user, or an admin of the whole service")
    assert ask(team.ada, "GET", "/users/nobody")[0] == 404


def test_the_last_admin_stays(ask: Ask, team: Team):
    status, problem = ask(team.ada, "PUT", "/users/ada", json={"admin": False})
    assert (status, problem["type"]) == (409, "/problems/state-conflict")


def test_a_token_for_oneself_is_like_the_calling_one(ask: Ask, team: Team):
    status, made = ask(team.cleo, "POST", "/tokens", json={})
    assert status == 201
    token = made["token"]
    assert (token["user"], token["team"], token["role"], token["created_by"]) == ("cleo", "vision", "submitter", "cleo")
    assert token["expires_at"] == pytest.approx(token["created_at"] + 90 * DAY)
    assert ask(made["secret"], "GET", "/me")[1]["user"] == "cleo"
    assert "secret" not in str(ask(team.cleo, "GET", "/tokens")[1])


@pytest.mark.parametrize(
    "body",
    [
        {"role": "admin"},
        {"user": "dan"},
        {"user": "ada"},
        {"user": "nobody"},
        {"team": "speech"},
        {"team": "none"},
        {"lifetime_days": None},
    ],
)
def test_no_token_has_more_rights_than_its_creator(ask: Ask, team: Team, body: dict[str, Any]):
    status, problem = ask(team.cleo, "POST", "/tokens", json=body)
    assert (status, problem["type"]) == (403, "/problems/forbidden")


def test_a_token_of_one_team_makes_none_for_another_of_the_same_user(ask: Ask, team: Team, store: Store):
    ask(team.ada, "PUT", "/teams/speech/members/ben", json={"role": "admin"})
    assert ask(team.ben, "POST", "/tokens", json={"team": "speech"})[0] == 403
    _, other = ask(team.ada, "POST", "/tokens", json={"user": "ben", "team": "speech", "role": "admin"})
    listed = {token["id"] for token in ask(team.ben, "GET", "/tokens")[1]}
    assert other["token"]["id"] not in listed
    assert ask(team.ben, "DELETE", f"/tokens/{other['token']['id']}")[0] == 404


def test_a_teams_admin_makes_tokens_for_its_members_alone(ask: Ask, team: Team):
    status, made = ask(team.ben, "POST", "/tokens", json={"user": "dan", "role": "viewer", "lifetime_days": None})
    assert (status, made["token"]["expires_at"], made["token"]["created_by"]) == (201, None, "ben")
    assert ask(team.ben, "POST", "/tokens", json={"user": "dan", "role": "admin"})[0] == 422
    for user in ("eve", "ada", "nobody"):
        status, problem = ask(team.ben, "POST", "/tokens", json={"user": user, "role": "viewer"})
        assert (status, problem["kind"]) == (404, "member")


def test_a_token_for_every_team_is_for_the_services_admins(ask: Ask, team: Team):
    assert ask(team.ada, "POST", "/tokens", json={"lifetime_days": None})[1]["token"]["team"] is None
    assert ask(team.ada, "POST", "/tokens", json={"user": "ben"})[0] == 422


@pytest.mark.parametrize("way", ["token", "session"])
def test_a_viewers_token_makes_none_that_outlives_it(ask: Ask, api: TestClient, team: Team, way: str):
    _, short = ask(team.ben, "POST", "/tokens", json={"user": "dan", "role": "viewer", "lifetime_days": 1})
    headers = as_user(short["secret"])
    if way == "session":  # it stands for the token
        page = api.get("/login").text
        csrf_token = page.split('name="csrf_token" value="')[1].split('"')[0]
        api.post("/login", data={"token": short["secret"], "csrf_token": csrf_token})
        headers = {"X-CSRF-Token": api.get("/v1/me").json()["csrf_token"]}
    refused = api.post("/v1/tokens", headers=headers, json={"lifetime_days": 3650})
    assert (refused.status_code, refused.json()["field"]) == (422, "lifetime_days")
    assert refused.json()["allowed"] == "at most 1, when the calling token expires"
    made = api.post("/v1/tokens", headers=headers, json={}).json()
    assert made["token"]["expires_at"] == short["token"]["expires_at"]
    assert made["token"]["parent_id"] == short["token"]["id"]
    api.cookies.clear()
    assert ask(made["secret"], "GET", "/me")[0] == 200
    assert ask(team.ben, "DELETE", f"/tokens/{short['token']['id']}")[0] == 204
    assert ask(made["secret"], "GET", "/me")[0] == 401


def test_the_tokens_that_an_admin_makes_stand_on_their_own(ask: Ask, team: Team):
    _, short = ask(team.ben, "POST", "/tokens", json={"lifetime_days": 1})
    _, made = ask(short["secret"], "POST", "/tokens", json={"user": "dan", "role": "viewer", "lifetime_days": 30})
    assert ask(team.ben, "DELETE", f"/tokens/{short['token']['id']}")[0] == 204
    assert made["token"]["parent_id"] is None
    assert ask(made["secret"], "GET", "/me")[0] == 200


def test_who_sees_a_token_may_revoke_it(ask: Ask, team: Team):
    ids = {token["user"]: token["id"] for token in ask(team.ada, "GET", "/tokens")[1]}
    assert len(ids) == 5
    assert {token["user"] for token in ask(team.ben, "GET", "/tokens")[1]} == {"ben", "cleo", "dan"}
    assert {token["user"] for token in ask(team.ben, "GET", "/tokens?user=dan&valid=true")[1]} == {"dan"}
    assert ask(team.ben, "GET", "/tokens?team=speech")[1] == []
    assert {token["user"] for token in ask(team.dan, "GET", "/tokens")[1]} == {"dan"}
    for secret, user, expected in (
        (team.dan, "cleo", 404),
        (team.ben, "eve", 404),
        (team.ben, "ada", 404),
        (team.ben, "cleo", 204),
        (team.dan, "dan", 204),
        (team.ada, "eve", 204),
    ):
        assert ask(secret, "DELETE", f"/tokens/{ids[user]}")[0] == expected, user
    assert ask(team.ada, "DELETE", "/tokens/none")[0] == 404


def test_a_teams_admin_reads_the_teams_entries_of_the_audit_log(ask: Ask, team: Team):
    ask(team.ben, "PUT", "/teams/vision/members/dan", json={"role": "submitter"})
    _, page = ask(team.ben, "GET", "/audit")
    first = page["items"][0]
    assert (first["actor"], first["action"], first["target"]) == ("ben", "member.put", "dan")
    assert first["token_id"]
    assert first["request_id"]
    assert {entry["team"] for entry in page["items"]} == {"vision"}
    assert ask(team.ben, "GET", "/audit?team=speech")[0] == 403
    assert ask(team.cleo, "GET", "/audit")[0] == 403
    assert {entry["team"] for entry in ask(team.ada, "GET", "/audit")[1]["items"]} == {None, "vision", "speech"}


def test_the_audit_log_is_read_by_pages(ask: Ask, team: Team):
    _, whole = ask(team.ada, "GET", "/audit")
    _, first = ask(team.ada, "GET", "/audit?limit=5")
    _, second = ask(team.ada, "GET", f"/audit?limit=5&cursor={first['next_cursor']}")
    assert first["items"] + second["items"] == whole["items"][:10]
    assert {entry["action"] for entry in ask(team.ada, "GET", "/audit?action=token")[1]["items"]} == {"token.create"}
    assert ask(team.ada, "GET", "/audit?cursor=x")[0] == 422


def test_no_response_contains_a_digest(ask: Ask, team: Team, store: Store):
    for path in ("/tokens", "/audit", "/users", "/teams", "/me"):
        assert "digest" not in str(ask(team.ada, "GET", path)[1])
