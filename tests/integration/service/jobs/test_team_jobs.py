"""Jobs of teams over HTTP: who may submit, control, clone and delete which job, and the content of a preview."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.digits import REQUEST
from tests.integration.service.team import SPEECH, VISION, Team, asking, settle
from tests.integration.service.world import World
from tuner.jobs.priority import Priority
from tuner.people.permissions import Actor
from tuner.people.records import TeamSettings
from tuner.store import Store
from tuner_service.settings import Settings

CLEO = Actor(user="cleo")
Ask = Callable[..., Any]


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    (tmp_path / "tuner.db").write_bytes(empty_database.read_bytes())
    return Settings(data_dir=tmp_path, auth="on", rate_limit="", event_poll_interval=timedelta(milliseconds=20))


@pytest.fixture
def team(store: Store) -> Team:
    return settle(store)


@pytest.fixture
def ask(api: TestClient, team: Team, world: World) -> Ask:
    """A request of the one who is named."""

    def request(user: str, method: str, path: str, **given: Any) -> Any:
        return asking(api, getattr(team, user), method, path, **given)

    return request


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


class TestSubmit:
    def test_a_job_that_names_no_team_belongs_to_the_submitters(self, ask: Ask):
        job = ask("cleo", "POST", "/v1/jobs", json=REQUEST).json()
        assert (job["spec"]["team"], job["owner"]) == (VISION, "cleo")

    def test_an_admin_of_the_service_may_submit_for_any_team(self, ask: Ask):
        job = ask("ada", "POST", "/v1/jobs", json=REQUEST | {"team": SPEECH}).json()
        assert (job["spec"]["team"], job["owner"]) == (SPEECH, "ada")

    @pytest.mark.parametrize(("user", "team_named"), [("cleo", SPEECH), ("dan", None)])
    def test_another_team_and_a_viewer_are_forbidden(self, ask: Ask, user: str, team_named: str | None):
        answer = ask(user, "POST", "/v1/jobs", json=REQUEST | ({"team": team_named} if team_named else {}))
        assert problem(answer) == (403, "forbidden")

    def test_a_team_that_is_not_there_is_named(self, ask: Ask):
        answer = ask("ada", "POST", "/v1/jobs", json=REQUEST | {"team": "nobody"})
        assert problem(answer) == (404, "not-found")
        assert answer.json()["key"] == "nobody"

    def test_a_reached_limit_of_the_team_is_reported_with_its_values(self, ask: Ask, store: Store):
        store.people.put_team(VISION, TeamSettings(max_open_jobs=1))
        assert ask("cleo", "POST", "/v1/jobs", json=REQUEST).status_code == 201
        answer = ask("cleo", "POST", "/v1/jobs", json=REQUEST)
        assert problem(answer) == (409, "limit-reached")
        assert {"limit": "max_open_jobs", "value": 2, "allowed": 1}.items() <= answer.json().items()

    def test_a_class_above_the_teams_highest_is_refused(self, ask: Ask):
        answer = ask("cleo", "POST", "/v1/jobs", json=REQUEST | {"priority": "high"})
        assert problem(answer) == (422, "invalid-request")
        assert answer.json()["field"] == "priority"

    def test_keys_of_two_teams_do_not_meet(self, ask: Ask):
        headers = {"Idempotency-Key": "k"}
        ours = ask("cleo", "POST", "/v1/jobs", json=REQUEST, headers=headers).json()
        theirs = ask("eve", "POST", "/v1/jobs", json=REQUEST, headers=headers).json()
        assert ours["id"] != theirs["id"]
        assert ask("cleo", "POST", "/v1/jobs", json=REQUEST, headers=headers).json()["id"] == ours["id"]

    def test_a_repeated_request_succeeds_where_the_limit_would_refuse_a_new_job(self, ask: Ask, store: Store):
        store.people.put_team(VISION, TeamSettings(max_open_jobs=1))
        first, again = (
            ask("cleo", "POST", "/v1/jobs", json=REQUEST, headers={"Idempotency-Key": "k"}) for _ in range(2)
        )
        assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])


class TestSteering:
    def test_a_job_is_paused_resumed_cancelled_tried_again_and_deleted(self, ask: Ask, world: World, store: Store):
        job = world.job(by=CLEO, team=VISION)
        path = f"/v1/jobs/{job.id}"
        assert ask("cleo", "POST", f"{path}/pause").json()["state"] == "paused"
        assert ask("cleo", "POST", f"{path}/pause").json()["state"] == "paused"
        assert ask("cleo", "POST", f"{path}/resume").json()["state"] == "queued"
        assert ask("cleo", "POST", f"{path}/cancel", json={"reason": "no"}).json()["state"] == "cancelled"
        assert ask("cleo", "POST", f"{path}/retry").json()["state"] in {"queued", "running"}
        assert problem(ask("cleo", "DELETE", path)) == (409, "state-conflict")
        ask("cleo", "POST", f"{path}/cancel")
        deleted = ask("cleo", "DELETE", path)
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert problem(ask("cleo", "GET", path)) == (404, "not-found")
        done = [one.action for one in store.audit.page(team=VISION).items if one.actor == "cleo"]
        assert done[::-1] == [
            "job.submit",
            "job.pause",
            "job.resume",
            "job.cancel",
            "job.retry",
            "job.cancel",
            "job.delete",
        ]

    def test_given_fields_change_and_the_others_stay(self, ask: Ask, world: World):
        job = world.job(by=CLEO, team=VISION)
        body = {"name": "other", "notes": "*why*", "shared": True, "budget": 5, "limits": {"device_hours": 2}}
        spec = ask("cleo", "PATCH", f"/v1/jobs/{job.id}", json=body).json()["spec"]
        assert (spec["name"], spec["notes"], spec["shared"]) == ("other", "*why*", True)
        assert (spec["search"]["budget"], spec["limits"]["device_hours"]) == (5, 2)
        assert spec["search"]["seeds"] == job.spec.search.seeds
        assert spec["priority"] == Priority.NORMAL

    def test_a_change_that_is_refused_names_the_field(self, ask: Ask, world: World):
        job = world.job(by=CLEO, team=VISION)
        for body, field in (({"budget": 0}, "budget"), ({"priority": "high"}, "priority"), ({"team": "x"}, "team")):
            answer = ask("cleo", "PATCH", f"/v1/jobs/{job.id}", json=body)
            assert problem(answer) == (422, "invalid-request")
            assert answer.json()["field"] == field

    def test_an_ended_job_accepts_name_and_notes_alone(self, ask: Ask, world: World):
        job = world.completed(by=CLEO, team=VISION)
        assert ask("cleo", "PATCH", f"/v1/jobs/{job.id}", json={"name": "done"}).json()["spec"]["name"] == "done"
        assert problem(ask("cleo", "PATCH", f"/v1/jobs/{job.id}", json={"trials": 9})) == (409, "state-conflict")
        assert problem(ask("cleo", "POST", f"/v1/jobs/{job.id}/retry")) == (409, "state-conflict")

    @pytest.mark.parametrize(
        ("user", "shared", "expected"),
        [("ben", False, 200), ("ada", False, 200), ("dan", False, 403), ("eve", False, 404), ("eve", True, 403)],
    )
    def test_who_may_change_a_job(self, ask: Ask, world: World, user: str, shared: bool, expected: int):
        job = world.job(by=CLEO, team=VISION, shared=shared)
        for method, path in (
            ("PATCH", ""),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("DELETE", ""),
        ):
            given = {"json": {"name": "x"}} if method == "PATCH" else {}
            answer = ask(user, method, f"/v1/jobs/{job.id}{path}", **given)
            assert answer.status_code in ({200, 204, 409} if expected == 200 else {expected}), (method, path)


class TestClone:
    def test_it_is_the_same_request_with_what_differs(self, ask: Ask, world: World):
        job = world.completed(by=CLEO, team=VISION, notes="first", options={"width": 128})
        body = {"name": "again", "options": {"dropout": 0.5}, "search": {"budget": 4, "space": None}}
        answer = ask("cleo", "POST", f"/v1/jobs/{job.id}/clone", json=body)
        clone = answer.json()
        assert answer.status_code == 201
        assert answer.headers["Location"] == f"/v1/jobs/{clone['id']}"
        assert (clone["origin"], clone["state"], clone["owner"]) == (job.id, "queued", "cleo")
        assert clone["spec"]["options"] == job.spec.options | {"dropout": 0.5}
        assert (clone["spec"]["name"], clone["spec"]["notes"]) == ("again", "first")
        assert clone["spec"]["search"]["budget"] == 4
        assert clone["spec"]["search"]["seeds"] == job.spec.search.seeds
        assert clone["spec"]["search"]["space"] == job.spec.model_dump(mode="json")["search"]["space"]

    def test_its_seed_is_a_new_one_unless_the_body_names_it(self, ask: Ask, world: World):
        job = world.job(by=CLEO, team=VISION)

        def seed(**search: int) -> int:
            body = {"search": search} if search else {}
            return ask("cleo", "POST", f"/v1/jobs/{job.id}/clone", json=body).json()["spec"]["search"]["seed"]

        assert len({job.spec.search.seed, seed(), seed()}) == 3
        assert seed(seed=job.spec.search.seed) == job.spec.search.seed

    def test_a_shared_job_of_another_team_becomes_a_private_one_of_ones_own(self, ask: Ask, world: World):
        job = world.job(by=CLEO, team=VISION, shared=True)
        clone = ask("eve", "POST", f"/v1/jobs/{job.id}/clone").json()
        assert (clone["spec"]["team"], clone["spec"]["shared"], clone["owner"]) == (SPEECH, False, "eve")

    def test_what_cannot_be_seen_cannot_be_cloned(self, ask: Ask, world: World):
        job = world.job(by=CLEO, team=VISION)
        assert problem(ask("eve", "POST", f"/v1/jobs/{job.id}/clone")) == (404, "not-found")
        assert problem(ask("dan", "POST", f"/v1/jobs/{job.id}/clone")) == (403, "forbidden")

    def test_a_clone_is_admitted_anew(self, ask: Ask, world: World):
        job = world.job(by=CLEO, team=VISION)
        answer = ask("cleo", "POST", f"/v1/jobs/{job.id}/clone", json={"options": {"width": 0}})
        assert problem(answer) == (422, "invalid-request")
        assert answer.json()["field"] == "options.width"

    def test_the_same_key_gives_the_same_clone_and_of_another_job_a_conflict(self, ask: Ask, world: World):
        one, other = world.job(by=CLEO, team=VISION), world.job(by=CLEO, team=VISION)
        headers = {"Idempotency-Key": "c"}
        clones = [ask("cleo", "POST", f"/v1/jobs/{one.id}/clone", headers=headers).json()["id"] for _ in range(2)]
        assert clones[0] == clones[1]
        answer = ask("cleo", "POST", f"/v1/jobs/{other.id}/clone", headers=headers)
        assert problem(answer) == (409, "idempotency-conflict")


class TestPreview:
    def test_it_prices_the_job_and_stores_nothing(self, ask: Ask):
        told = ask("cleo", "POST", "/v1/jobs/preview", json=REQUEST).json()
        assert told["spec"]["team"] == VISION
        assert told["estimate"]["price"]["full_runs"] == REQUEST["search"]["budget"]
        assert told["estimate"]["price"]["expectation"]
        assert len(told["estimate"]["compared"]) == 3
        assert told["estimate"]["device_seconds"] is None
        assert (told["refusals"], told["jobs_ahead"]) == ([], 0)
        assert ask("cleo", "GET", "/v1/jobs").json()["items"] == []

    def test_measured_runs_give_it_a_device_time(self, ask: Ask, world: World):
        world.completed(by=CLEO, team=VISION)
        told = ask("cleo", "POST", "/v1/jobs/preview", json=REQUEST).json()
        assert told["estimate"]["device_seconds"].keys() == {"cpu"}
        assert told["estimate"]["device_seconds"]["cpu"] >= 0

    def test_it_says_all_that_would_refuse_the_job(self, ask: Ask, world: World, store: Store):
        world.job(by=CLEO, team=VISION)
        store.people.put_team(VISION, TeamSettings(max_open_jobs=1))
        told = ask("cleo", "POST", "/v1/jobs/preview", json=REQUEST | {"priority": "high"}).json()
        assert [(one["field"], one["limit"]) for one in told["refusals"]] == [
            ("priority", None),
            (None, "max_open_jobs"),
        ]
        assert told["spec"] is not None

    @pytest.mark.parametrize(
        ("user", "changes", "field"),
        [("cleo", {"options": {"width": 0}}, "options.width"), ("cleo", {"team": SPEECH}, "team"), ("dan", {}, "team")],
    )
    def test_a_request_that_would_be_refused_has_no_price(
        self, ask: Ask, user: str, changes: dict[str, Any], field: str
    ):
        told = ask(user, "POST", "/v1/jobs/preview", json=REQUEST | changes).json()
        assert [one["field"] for one in told["refusals"]] == [field]
        assert told["spec"] is told["estimate"] is None

    def test_jobs_that_wait_already_go_first(self, ask: Ask, world: World):
        for _ in range(3):
            world.job(by=CLEO, team=VISION)
        assert ask("cleo", "POST", "/v1/jobs/preview", json=REQUEST).json()["jobs_ahead"] == 3


class TestList:
    def test_it_shows_ones_own_team_and_what_is_shared(self, ask: Ask, world: World):
        private, shared = world.job(by=CLEO, team=VISION), world.job(by=CLEO, team=VISION, shared=True)
        theirs = world.job(by=Actor(user="eve"), team=SPEECH)

        def listed(user: str, **filters: str) -> list[str]:
            return [job["id"] for job in ask(user, "GET", "/v1/jobs", params=filters).json()["items"]]

        assert listed("cleo") == [shared.id, private.id]
        assert listed("eve") == [theirs.id, shared.id]
        assert listed("ada") == [theirs.id, shared.id, private.id]
        assert listed("ada", team=SPEECH) == listed("ada", owner="eve") == [theirs.id]
        assert listed("ada", text=private.id[:8]) == [private.id]
        assert listed("eve", text=private.id[:8]) == []
        assert listed("ada", workload="nope") == []
