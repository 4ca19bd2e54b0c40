"""The list of jobs as people read it: progress and result instead of the request."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.digits import REQUEST
from tests.integration.service.world import World


def summaries(api: TestClient, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get("/v1/jobs", params={"view": "summary", **query}).json()["items"]
    return items


def test_a_summary_has_what_a_line_of_a_table_needs_and_no_request(api: TestClient, world: World):
    job = world.job(name="first look")
    world.started(job)
    world.train(loss=0.5)
    (line,) = summaries(api)
    assert "spec" not in line
    said = {"id": job.id, "name": "first look", "state": "running", "workload": "digits-mlp", "owner": "local"}
    assert said.items() <= line.items()
    assert (line["team"], line["priority"], line["total_steps"]) == ("default", "normal", 90)
    assert line["budget"] == job.spec.search.budget
    assert line["full_runs_spent"] == 1
    assert 0 < line["fraction"] < 1
    assert line["age_seconds"] >= 0
    assert (line["finding"], line["error"], line["finished_at"]) == (None, None, None)


def test_its_progress_is_that_of_the_job(api: TestClient, world: World):
    running, waiting = world.job(), world.job()
    lock = world.started(running)
    world.train(loss=0.5)
    world.train(loss=None)
    world.claim()
    world.compared(running, lock=lock)
    for line in summaries(api):
        progress = api.get(f"/v1/jobs/{line['id']}").json()["progress"]
        same = ("budget", "full_runs_spent", "fraction", "best", "seconds_left")
        assert {name: line[name] for name in same} == {name: progress[name] for name in same}
    assert [line["id"] for line in summaries(api)] == [waiting.id, running.id]


def test_a_completed_job_has_its_finding_and_its_best_is_the_recommended(api: TestClient, world: World):
    job = world.completed()
    (line,) = summaries(api)
    report = api.get(f"/v1/jobs/{job.id}/report").json()
    assert (line["finding"], line["fraction"]) == (report["finding"], 1)
    assert line["best"]["trial"] == report["recommended"]["trial"]


def test_a_failure_is_one_line(api: TestClient, world: World):
    job = world.job()
    lock = world.started(job)
    world.store.planning.fail_job(lock, error="no run succeeded\nTraceback ...")
    (line,) = summaries(api)
    assert line["error"] == "no run succeeded"


@pytest.mark.parametrize("view", ["full", "summary"])
def test_jobs_come_in_the_order_that_is_asked_for_over_all_pages(api: TestClient, world: World, view: str):
    cheap, dear, untouched = (world.job(search=REQUEST["search"] | {"seed": seed}) for seed in range(3))
    for job in (cheap, dear):
        api.post(f"/v1/jobs/{job.id}/cancel")
    with world.store._database._engine.begin() as connection:
        for job, seconds in ((cheap, 1.5), (dear, 7.25)):
            sql = "UPDATE tuner_jobs SET device_seconds = ? WHERE id = ?"
            connection.exec_driver_sql(sql, (seconds, job.id))

    def listed(sort: str) -> list[str]:
        seen: list[str] = []
        query: dict[str, Any] = {"sort": sort, "limit": 1, "view": view}
        while True:
            page = api.get("/v1/jobs", params=query).json()
            seen += [job["id"] for job in page["items"]]
            if page["next_cursor"] is None:
                return seen
            query["cursor"] = page["next_cursor"]

    assert listed("newest") == [untouched.id, dear.id, cheap.id]
    assert listed("oldest") == [cheap.id, dear.id, untouched.id]
    assert listed("cost") == [dear.id, cheap.id, untouched.id]
    assert listed("finished") == [dear.id, cheap.id, untouched.id]


@pytest.mark.parametrize("cursor", ["7", "x~7", "1.5~", "nan"])
def test_a_cursor_of_another_order_is_refused(api: TestClient, world: World, cursor: str):
    response = api.get("/v1/jobs", params={"sort": "cost", "cursor": cursor})
    assert response.status_code == 422
    assert "cursor" in response.text
