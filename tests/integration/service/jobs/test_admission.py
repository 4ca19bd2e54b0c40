"""What is refused over HTTP because it could never be trained, and what is accepted and would wait."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.digits import REQUEST
from tests.integration.service.world import WORKER, World
from tuner.people.records import TeamSettings
from tuner.store import Store

RISING = {"peak_lr": 0.1, "family": {"name": "cosine"}, "warmup": {"shape": "linear", "updates": 20}}
CYCLES = {"name": "cyclic", "params": {"cycles": {"kind": "choice", "values": [20]}}}
IMPOSSIBLE = pytest.mark.parametrize(
    ("search", "field", "value", "allowed"),
    [
        ({"total_steps": 20, "start": [RISING]}, "search.start.0.warmup.updates", 20, "less than the whole run of 20"),
        ({"total_steps": 20, "incumbent": RISING}, "search.incumbent.warmup.updates", 20, "less than the whole run"),
        ({"total_steps": 10, "space": {"warmup": [0.96]}}, "search.space.warmup.0", 0.96, "leaves none of 10"),
        (
            {"total_steps": 20, "space": {"families": [CYCLES]}},
            "search.space.families.0.params.cycles",
            20,
            "at most 10",
        ),
    ],
)


def job(**parts: Any) -> dict[str, Any]:
    return {"workload": "digits-mlp", **parts}


class TestWhatCannotBeBuilt:
    @IMPOSSIBLE
    def test_it_is_refused_with_its_field_what_is_allowed_and_the_length_of_the_runs(
        self, api: TestClient, world: World, search: dict[str, Any], field: str, value: Any, allowed: str
    ):
        answer = api.post("/v1/jobs", json=job(search=search))
        assert answer.status_code == 422
        problem = answer.json()
        assert (problem["field"], problem["value"]) == (field, value)
        assert allowed in problem["allowed"]
        assert "total_steps" in problem["detail"]
        assert api.get("/v1/jobs").json()["items"] == []

    @IMPOSSIBLE
    def test_a_preview_says_so_too(
        self, api: TestClient, world: World, search: dict[str, Any], field: str, value: Any, allowed: str
    ):
        (refusal,) = api.post("/v1/jobs/preview", json=job(search=search)).json()["refusals"]
        assert refusal["field"] == field
        assert allowed in refusal["message"]

    def test_a_clone_with_shorter_runs_is_built_anew(self, api: TestClient, world: World):
        first = api.post("/v1/jobs", json=job(search={"total_steps": 40, "start": [RISING]})).json()
        answer = api.post(f"/v1/jobs/{first['id']}/clone", json={"search": {"total_steps": 20}})
        assert (answer.status_code, answer.json()["field"]) == (422, "search.start.0.warmup.updates")


class TestAPartialSpace:
    def test_the_stored_job_has_all_parts(self, api: TestClient, world: World):
        whole = api.post("/v1/jobs", json=job()).json()["spec"]["search"]["space"]
        space = {"warmup": [0.0, 0.2], "families": [{"name": "wsd"}]}
        stored = api.post("/v1/jobs", json=job(search={"space": space})).json()["spec"]["search"]["space"]
        usual = {family["name"]: family for family in whole["families"]}
        assert stored == whole | {"warmup": [0.0, 0.2], "families": [usual["wsd"]]}

    def test_a_family_that_there_is_not_is_refused_where_it_stands(self, api: TestClient, world: World):
        answer = api.post("/v1/jobs", json=job(search={"space": {"families": [{"name": "cosin"}]}}))
        assert (answer.status_code, answer.json()["field"]) == (422, "search.space.families.0.name")


class TestTheTeam:
    @pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/preview"])
    def test_where_no_team_exists_none_can_be_named(self, api: TestClient, world: World, path: str):
        answer = api.post(path, json=job(team="typo")).json()
        refusal = answer["refusals"][0] if "preview" in path else answer
        assert refusal["field"] == "team"
        assert "there are no teams" in (refusal.get("message") or refusal["detail"])

    @pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/preview"])
    def test_without_a_login_a_job_goes_to_the_only_team_and_names_one_of_several(
        self, api: TestClient, world: World, store: Store, path: str
    ):
        earlier = api.post("/v1/jobs", json=job()).json()
        store.people.put_team("vision", TeamSettings())
        found = api.post(path, json=job()).json()
        assert found["spec"]["team"] == "vision"
        assert api.post(f"/v1/jobs/{earlier['id']}/clone").json()["spec"]["team"] == "vision"
        store.people.put_team("speech", TeamSettings())
        answer = api.post(path, json=job()).json()
        refusal = answer["refusals"][0] if "preview" in path else answer
        assert refusal["field"] == "team"
        assert "one of speech, vision" in (refusal.get("message") or refusal["detail"])
        assert api.post(path, json=job(team="speech")).json()["spec"]["team"] == "speech"

    def test_the_team_of_all_jobs_can(self, api: TestClient, world: World):
        assert api.post("/v1/jobs", json=job(team="default")).status_code == 201


class TestWhatWouldWait:
    @pytest.mark.parametrize(
        ("resources", "reason"),
        [
            ({"device": "cuda"}, "no live worker that offers digits-mlp has 1 cuda device for its team"),
            ({"memory_gib": 500}, "no live worker that offers digits-mlp has 1 device with 500 GiB for its team"),
            ({"devices": 8}, "no live worker that offers digits-mlp has 8 devices for its team"),
            ({}, None),
        ],
    )
    def test_a_preview_says_that_no_worker_can_train_it(
        self, api: TestClient, world: World, resources: dict[str, Any], reason: str | None
    ):
        preview = api.post("/v1/jobs/preview", json=job(resources=resources)).json()
        assert (preview["refusals"], preview["would_wait"]) == ([], reason)

    def test_a_draining_worker_is_told_as_draining(self, api: TestClient, world: World, store: Store):
        store.workers.set_worker(WORKER, draining=True)
        reason = f"worker {WORKER} could train it, but is draining: it takes no further run"
        assert api.post("/v1/jobs/preview", json=job()).json()["would_wait"] == reason
        api.post("/v1/jobs", json=job())
        assert api.get("/v1/queue").json()["items"][0]["reason"].endswith(reason)

    def test_the_time_on_a_cpu_is_no_estimate_for_a_job_that_needs_a_gpu(self, api: TestClient, world: World):
        world.completed()
        on_any, on_cuda = (
            api.post("/v1/jobs/preview", json=REQUEST | {"resources": {"device": device}}).json()["estimate"]
            for device in ("any", "cuda")
        )
        assert on_any["device_seconds"].keys() == {"cpu"}
        assert on_cuda["device_seconds"] is None
