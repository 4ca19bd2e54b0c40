"""What a picture of a whole job is drawn from: rates of all trials, curves of all runs."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.digits import SCHEDULES
from tests.integration.service.world import World
from tuner.jobs.records import CurvePoint


def test_the_rates_of_all_trials_come_at_the_same_updates(api: TestClient, world: World):
    job = world.job()
    world.started(job)
    page = api.get(f"/v1/jobs/{job.id}/schedules", params={"points": 5}).json()
    assert (page["total_steps"], page["updates"], page["next_cursor"]) == (90, [0, 22, 44, 67, 89], None)
    assert [one["trial"] for one in page["items"]] == [0, 1, 2]
    for one, schedule in zip(page["items"], SCHEDULES, strict=True):
        assert one["label"] == schedule.label
        assert one["lrs"] == [schedule.lr(update, total_steps=90) for update in page["updates"]]


def test_a_short_run_has_each_update_once(api: TestClient, world: World):
    job = world.job()
    world.started(job)
    updates = api.get(f"/v1/jobs/{job.id}/schedules", params={"points": 400}).json()["updates"]
    assert updates == list(range(90))


def test_the_curves_of_all_runs_are_those_of_each(api: TestClient, world: World):
    job = world.completed()
    runs = api.get(f"/v1/jobs/{job.id}/runs").json()["items"]
    curves = api.get(f"/v1/jobs/{job.id}/curves").json()["items"]
    assert [curve["run_id"] for curve in curves] == [run["id"] for run in runs]
    for curve, run in zip(curves, runs, strict=True):
        assert curve["points"] == api.get(f"/v1/runs/{run['id']}/curve").json()
        shared = {"seed": "seed", "state": "state", "total_steps": "total_steps", "step": "step"}
        assert {name: curve[name] for name in shared} == {name: run[name] for name in shared}
        assert curve["trial"] == run["trial_number"]


def test_curves_are_thinned_and_those_of_one_trial_can_be_had(api: TestClient, world: World):
    job = world.job()
    world.started(job)
    lease = world.claim()
    points = [CurvePoint(step=step, lr=0.1, train_loss=1.0, val_loss=1.0 / step) for step in range(1, 60)]
    world.store.leases.heartbeat(lease, points=points, updates=60, lease_seconds=600)
    found = api.get(f"/v1/jobs/{job.id}/curves", params={"points": 10, "trial": 0}).json()["items"]
    (curve,) = found
    assert (curve["trial"], curve["state"], len(curve["points"])) == (0, "leased", 10)
    assert (curve["points"][0]["step"], curve["points"][-1]["step"]) == (1, 59)


@pytest.mark.parametrize("path", ["schedules", "curves"])
def test_pages_hold_everything_once(api: TestClient, world: World, path: str):
    job = world.completed()
    whole = api.get(f"/v1/jobs/{job.id}/{path}").json()["items"]
    seen: list[Any] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = api.get(f"/v1/jobs/{job.id}/{path}", params=query).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == whole
