"""Webhooks over HTTP: permissions, responses, and deliveries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from tests.integration.service.live import PATIENCE_SECONDS, wait_until
from tests.integration.service.receiver import Got, Receiver, receiving
from tests.integration.service.world import World
from tuner.people.permissions import LOCAL_ACTOR, Principal, Role
from tuner.people.records import TeamSettings
from tuner.store import Store
from tuner_service.access import principal
from tuner_service.app import create_app
from tuner_service.settings import Settings

BASE_URL = "http://127.0.0.1:8642"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def app(settings: Settings, store: Store) -> FastAPI:
    return create_app(settings.model_copy(update={"webhooks_allow_private": True}), store=store)


@pytest.fixture
def api(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=BASE_URL) as client:
        yield client


@pytest.fixture
def teams(store: Store) -> None:
    for name in ("vision", "speech"):
        store.people.put_team(name, TeamSettings(), by=LOCAL_ACTOR)


@pytest.fixture
def acting(app: FastAPI) -> Iterator[Callable[..., None]]:
    """Authenticate every further request as this caller."""

    def act(*, team: str | None, role: Role = Role.ADMIN) -> None:
        who = Principal(user=f"{role}-of-{team}", team=team, role=role, token_id=None)

        def somebody(request: Request) -> Principal:
            return who

        app.dependency_overrides[principal] = somebody

    yield act
    app.dependency_overrides.clear()


def create(api: TestClient, url: str, **changes: Any) -> dict[str, Any]:
    answer = api.post("/v1/webhooks", json={"url": url} | changes)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_webhook_is_made_shown_changed_and_removed(api: TestClient, receiver: Receiver):
    answer = api.post("/v1/webhooks", json={"url": receiver.url})
    made = answer.json()["webhook"]
    where = f"/v1/webhooks/{made['id']}"
    assert answer.headers["Location"] == where
    assert made["events"] == ["job.completed", "job.failed", "job.cancelled", "job.limit_reached"]
    assert (made["team"], made["enabled"], made["format"], made["created_by"]) == (None, True, "json", "local")
    assert api.get(where).json() == made
    assert api.get("/v1/webhooks").json() == [made]
    changed = api.patch(where, json={"events": ["job.started"], "enabled": False}).json()
    assert changed == made | {"events": ["job.started"], "enabled": False}
    assert api.delete(where).status_code == 204
    assert api.get(where).status_code == 404
    assert api.get("/v1/webhooks").json() == []


def test_the_key_is_shown_at_creation_and_rotation_and_nowhere_else(api: TestClient, receiver: Receiver):
    first = create(api, receiver.url)
    where = f"/v1/webhooks/{first['webhook']['id']}"
    second = api.post(f"{where}/rotate-key").json()
    assert first["key"] != second["key"]
    assert second["webhook"]["key_version"] == 2
    for path in ("/v1/webhooks", where, f"{where}/deliveries"):
        assert "whsec_" not in api.get(path).text


def test_events_of_a_job_arrive_signed_with_the_shown_key(api: TestClient, world: World, receiver: Receiver):
    made = create(api, receiver.url)
    job = world.job()
    world.store.jobs.cancel(job.id, reason="enough")
    wait_until(lambda: bool(receiver.got), what="the event")
    (got,) = receiver.got
    assert (got.event["type"], got.event["job"]["id"]) == ("job.cancelled", job.id)
    assert Webhook(made["key"]).verify(got.body, got.headers) == got.event
    where = f"/v1/webhooks/{made['webhook']['id']}/deliveries"
    wait_until(lambda: api.get(where).json()["items"][0]["state"] == "delivered", what="the delivery to be noted")
    page = api.get(where, params={"state": "delivered", "limit": 1}).json()
    assert page["next_cursor"] is None
    (delivery,) = page["items"]
    assert (delivery["event_id"], delivery["attempts"], delivery["last_status"]) == (got.event_id, 1, 204)
    assert api.get(where, params={"state": "failed"}).json()["items"] == []


def test_keys_survive_a_restart(settings: Settings, store: Store, receiver: Receiver):
    allowing = settings.model_copy(update={"webhooks_allow_private": True})
    with TestClient(create_app(allowing, store=store), base_url=BASE_URL) as api:
        made = create(api, receiver.url)
    with TestClient(create_app(allowing, store=store), base_url=BASE_URL) as api:
        api.post(f"/v1/webhooks/{made['webhook']['id']}/test")
    (got,) = receiver.got
    assert Webhook(made["key"]).verify(got.body, got.headers) == got.event


def test_a_test_delivery_is_sent_at_once_and_its_result_returned(api: TestClient, receiver: Receiver):
    where = f"/v1/webhooks/{create(api, receiver.url)['webhook']['id']}"
    told = api.post(f"{where}/test").json()
    assert told == {"delivered": True, "status": 204, "error": None, "event_id": receiver.got[0].event_id}
    assert receiver.got[0].event["type"] == "webhook.test"
    receiver.answer = lambda _: 500
    told = api.post(f"{where}/test").json()
    assert (told["delivered"], told["status"], told["error"]) == (False, 500, "the receiver answered 500")
    assert len(receiver.got) == 2
    assert api.get(f"{where}/deliveries").json()["items"] == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "url"),
            ({"url": "ftp://example.org/"}, "url"),
            ({"url": "https://user:secret@example.org/"}, "url"),
            ({"url": "https://example.org/", "events": []}, "events"),
            ({"url": "https://example.org/", "events": ["run.evaluated"]}, "events.0"),
            ({"url": "https://example.org/", "format": "xml"}, "format"),
            ({"url": "https://example.org/", "key": "mine"}, "key"),
        ],
    )
    def test_what_is_wrong_is_named(self, api: TestClient, body: dict[str, Any], field: str):
        answer = api.post("/v1/webhooks", json=body)
        assert answer.status_code == 422
        assert answer.json()["field"] == field

    @pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]"])
    def test_a_private_address_is_refused_at_once_unless_allowed(self, settings: Settings, store: Store, host: str):
        with TestClient(create_app(settings, store=store), base_url=BASE_URL) as api:
            answer = api.post("/v1/webhooks", json={"url": f"http://{host}/hook"})
            made = create(api, "https://example.org/hook")
            changed = api.patch(f"/v1/webhooks/{made['webhook']['id']}", json={"url": f"http://{host}/hook"})
        for refused in (answer, changed):
            assert refused.status_code == 422
            assert "TUNER_WEBHOOKS_ALLOW_PRIVATE" in refused.json()["hint"]

    def test_a_name_of_a_private_address_is_refused_when_something_is_sent(
        self, settings: Settings, store: Store, receiver: Receiver
    ):
        with TestClient(create_app(settings, store=store), base_url=BASE_URL) as api:
            made = create(api, f"http://localhost:{receiver.port}/hook")
            told = api.post(f"/v1/webhooks/{made['webhook']['id']}/test").json()
        assert not told["delivered"]
        assert "not on the public internet" in told["error"]
        assert not receiver.got

    @pytest.mark.parametrize(
        ("method", "rest"),
        [
            ("get", ""),
            ("patch", ""),
            ("delete", ""),
            ("post", "/test"),
            ("post", "/rotate-key"),
            ("get", "/deliveries"),
        ],
    )
    def test_a_webhook_that_is_none_is_not_found(self, api: TestClient, method: str, rest: str):
        body = {"json": {}} if method == "patch" else {}
        answer = getattr(api, method)(f"/v1/webhooks/nothing{rest}", **body)
        assert answer.status_code == 404
        assert answer.json()["kind"] == "webhook"


@pytest.mark.usefixtures("teams")
class TestTeams:
    def test_an_admin_of_a_team_makes_webhooks_of_that_team(
        self, api: TestClient, acting: Callable[..., None], receiver: Receiver
    ):
        acting(team="vision")
        assert create(api, receiver.url)["webhook"]["team"] == "vision"
        assert create(api, receiver.url, team="vision")["webhook"]["team"] == "vision"
        answer = api.post("/v1/webhooks", json={"url": receiver.url, "team": "speech"})
        assert answer.status_code == 403
        assert answer.json()["needed"] == "to be an admin of team speech"

    def test_another_teams_webhook_is_not_there(self, api: TestClient, acting: Callable[..., None], receiver: Receiver):
        acting(team=None)
        made = [create(api, receiver.url, team="vision"), create(api, receiver.url)]
        acting(team="speech")
        assert api.get("/v1/webhooks").json() == []
        for one in made:
            where = f"/v1/webhooks/{one['webhook']['id']}"
            assert api.get(where).status_code == 404
            assert api.patch(where, json={"enabled": False}).status_code == 404
            assert api.delete(where).status_code == 404
            assert api.post(f"{where}/test").status_code == 404
            assert api.post(f"{where}/rotate-key").status_code == 404
            assert api.get(f"{where}/deliveries").status_code == 404
        assert not receiver.got

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.SUBMITTER])
    @pytest.mark.parametrize("team", ["vision", None])
    def test_only_admins_may_read_webhooks(
        self, api: TestClient, acting: Callable[..., None], receiver: Receiver, role: Role, team: str | None
    ):
        acting(team=None)
        where = f"/v1/webhooks/{create(api, receiver.url, team='vision')['webhook']['id']}"
        acting(team=team, role=role)
        for answer in (
            api.get("/v1/webhooks"),
            api.get(where),
            api.post("/v1/webhooks", json={"url": receiver.url}),
            api.delete(where),
            api.post(f"{where}/rotate-key"),
        ):
            assert answer.status_code == 403

    def test_a_team_that_is_none_is_named(self, api: TestClient):
        answer = api.post("/v1/webhooks", json={"url": "https://example.org/", "team": "nobody"})
        assert answer.status_code == 404
        assert answer.json()["kind"] == "team"


def test_tries_that_hang_leave_the_service_its_threads(api: TestClient, receiver: Receiver):
    let_go = threading.Event()

    def hang(_: Got) -> int:
        let_go.wait(PATIENCE_SECONDS)
        return 204

    receiver.answer = hang
    where = f"/v1/webhooks/{create(api, receiver.url)['webhook']['id']}/test"
    with ThreadPoolExecutor(4) as tries:
        hanging = [tries.submit(api.post, where) for _ in range(4)]
        wait_until(lambda: len(receiver.got) == 4, what="four tries under way")
        refused = api.post(where)
        let_go.set()
        assert [one.result().json()["delivered"] for one in hanging] == [True] * 4
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-requests")
    assert api.post(where).status_code == 200
