"""The queue and the workers over HTTP: what each caller sees and may change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.digits import DIGITS
from tests.integration.service.team import SPEECH, VISION, Team, asking, settle
from tests.integration.service.world import World
from tests.integration.store.builders import announce, claim_run, offer
from tuner.people.permissions import Actor
from tuner.people.records import TeamSettings
from tuner.store import Store
from tuner_service.settings import Settings

CLEO, EVE = Actor(user="cleo"), Actor(user="eve")
Ask = Callable[..., Any]


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    (tmp_path / "tuner.db").write_bytes(empty_database.read_bytes())
    return Settings(data_dir=tmp_path, auth="on", rate_limit="", reap_interval=timedelta(hours=1))


@pytest.fixture
def team(store: Store) -> Team:
    return settle(store)


@pytest.fixture
def ask(api: TestClient, team: Team, world: World) -> Ask:
    """A request of the one who is named."""

    def request(user: str, method: str, path: str, **given: Any) -> Any:
        return asking(api, getattr(team, user), method, path, **given)

    return request


class TestQueue:
    def test_every_open_job_has_a_place_and_a_reason(self, ask: Ask, world: World):
        jobs = [world.job(by=CLEO, team=VISION).id for _ in range(3)]
        items = ask("cleo", "GET", "/v1/queue").json()["items"]
        assert [item["job_id"] for item in items] == jobs
        assert [item["position"] for item in items] == [1, 2, 3]
        assert all(item["reason"] for item in items)

    def test_places_count_jobs_that_cannot_be_seen(self, ask: Ask, world: World):
        world.job(by=CLEO, team=VISION, priority="normal")
        theirs = world.job(by=EVE, team=SPEECH, priority="low")
        (item,) = ask("eve", "GET", "/v1/queue").json()["items"]
        assert (item["job_id"], item["position"]) == (theirs.id, 2)

    def test_shares_follow_the_weights(self, ask: Ask, store: Store, world: World):
        store.people.put_team(VISION, TeamSettings(weight=3))
        world.job(by=CLEO, team=VISION)
        shares = {share["team"]: share for share in ask("eve", "GET", "/v1/queue/shares").json()}
        assert (shares[VISION]["weight"], shares[VISION]["open_jobs"]) == (3, 1)


class TestWorkers:
    def test_runs_of_private_jobs_are_hidden_from_other_teams(self, ask: Ask, world: World):
        world.started(world.job(by=CLEO, team=VISION))
        lease = world.claim()
        for path in ("/v1/workers/w1", "/v1/workers"):
            for user, runs in (("cleo", [lease.run_id]), ("ada", [lease.run_id]), ("eve", [])):
                answer = ask(user, "GET", path).json()
                worker = answer if isinstance(answer, dict) else answer[0]
                assert worker["runs"] == runs, (user, path)

    def test_a_draining_worker_claims_nothing_until_draining_ends(self, ask: Ask, world: World, store: Store):
        world.started(world.job(by=CLEO, team=VISION))
        assert ask("ada", "PATCH", "/v1/workers/w1", json={"draining": True}).json()["draining"] is True
        announce(store, "w1", workloads=[DIGITS])  # a restart
        assert claim_run(store, offer("w1")) is None
        ask("ada", "PATCH", "/v1/workers/w1", json={"draining": False})
        assert claim_run(store, offer("w1")) is not None

    def test_a_reserved_worker_runs_one_teams_jobs(self, ask: Ask, world: World, store: Store):
        world.started(world.job(by=CLEO, team=VISION))
        changed = ask("ada", "PATCH", "/v1/workers/w1", json={"reserved_for": SPEECH}).json()
        assert (changed["reserved_for"], changed["draining"]) == (SPEECH, False)
        assert claim_run(store, offer("w1")) is None
        assert ask("ada", "PATCH", "/v1/workers/w1", json={}).json()["reserved_for"] == SPEECH
        assert ask("ada", "PATCH", "/v1/workers/w1", json={"reserved_for": None}).json()["reserved_for"] is None
        assert claim_run(store, offer("w1")) is not None

    def test_a_dead_worker_is_forgotten_and_a_live_one_refused(self, ask: Ask, store: Store):
        assert ask("ada", "DELETE", "/v1/workers/w1").status_code == 409
        store.workers.retire("w1")
        assert ask("ada", "DELETE", "/v1/workers/w1").status_code == 204
        assert ask("ada", "GET", "/v1/workers/w1").status_code == 404

    @pytest.mark.parametrize("user", ["ben", "cleo", "dan"])
    def test_only_admins_of_the_service_may_change_a_worker(self, ask: Ask, user: str):
        for method in ("PATCH", "DELETE"):
            given = {"json": {"draining": True}} if method == "PATCH" else {}
            assert ask(user, method, "/v1/workers/w1", **given).status_code == 403
