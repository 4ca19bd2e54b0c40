"""LR range tests over the API, on both databases."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.integration.service.world import World
from tuner.jobs.records import CurvePoint, LeasedRun, StudyLock
from tuner.jobs.states import JobState
from tuner.orchestrator import run_planning_step
from tuner.search.decision.decisions import RANGE_TEST_TRIAL
from tuner.search.range_test.result import RangeTest
from tuner.search.range_test.settings import EVALUATIONS

TEST = {"low": 1e-4, "high": 10.0, "steps": 100, "seeds": 2}


def loss(lr: float) -> float:
    return 1.0 + 1.0 / (1.0 + (lr / 1e-2) ** 2) + (lr / 0.5) ** 4


def swept(world: World, job_id: str) -> None:
    """Work on the job until its range test is over, with a curve for each of its runs."""
    while True:
        taken = world.store.queue.claim(world.offer, lease_seconds=600, lock_seconds=600, job_id=job_id)
        match taken:
            case StudyLock():
                run_planning_step(world.store, lock=taken)
            case LeasedRun(evaluations=int(count), total_steps=steps):
                assert (count, steps) == (EVALUATIONS, 100)
                lrs = taken.schedule.lrs(steps)
                points = [
                    CurvePoint(step=step, lr=lrs[step - 1], train_loss=loss(lrs[step - 1]), val_loss=9.0)
                    for step in range(2, steps + 1, 2)
                ]
                world.store.leases.heartbeat(taken, points=points, updates=steps, lease_seconds=600)
                world.store.leases.finish(taken, loss=points[-1].val_loss, step=steps, updates=0)
            case LeasedRun():  # the first of the search
                world.store.leases.release(taken)
                return
            case None:
                return


@pytest.fixture
def alone(api: TestClient, world: World) -> str:
    body = {"workload": "digits-mlp", "search": {"range_test": {**TEST, "alone": True}}}
    job_id: str = api.post("/v1/jobs", json=body).json()["id"]
    return job_id


def test_a_test_alone_is_a_job_that_ends_with_its_readings(api: TestClient, world: World, alone: str):
    swept(world, alone)
    assert world.store.jobs.get(alone).state is JobState.COMPLETED
    test = RangeTest.model_validate(api.get(f"/v1/jobs/{alone}/range-test").json())
    assert (test.seeds, test.low, test.high) == (2, 1e-4, 10.0)
    assert 0.2 < test.readings.last_stable < 1.0
    assert test.points[0].loss == pytest.approx(2.0, abs=0.01)  # of the training, not of the metric
    standing = api.get(f"/v1/jobs/{alone}/standing").json()
    assert test.summary in standing["sentence"]
    assert api.get(f"/v1/jobs/{alone}").json()["progress"]["fraction"] == 1.0


def test_its_many_evaluations_do_not_count_for_the_pace_of_the_workload(world: World, alone: str):
    swept(world, alone)
    job = world.store.jobs.get(alone)
    assert job.updates_spent == 200
    assert world.store.queue.paces("digits-mlp", world.store.workers.workload("digits-mlp").version) == ()


@pytest.mark.parametrize("format", ["html", "svg", "png"])
def test_it_has_a_picture(api: TestClient, world: World, alone: str, format: str):
    swept(world, alone)
    response = api.get(f"/v1/jobs/{alone}/range-test", params={"format": format})
    assert response.status_code == 200
    assert len(response.content) > 1000


def test_it_has_no_report_and_says_where_its_result_is(api: TestClient, world: World, alone: str):
    swept(world, alone)
    response = api.get(f"/v1/jobs/{alone}/report")
    assert response.status_code == 409
    assert f"/v1/jobs/{alone}/range-test" in response.json()["hint"]


def test_its_price_is_that_of_its_runs(api: TestClient, world: World):
    body = {"workload": "digits-mlp", "search": {"range_test": {**TEST, "alone": True}}}
    estimate = api.post("/v1/jobs/preview", json=body).json()["estimate"]
    assert estimate["price"]["updates"] == 200
    assert "bounds the peaks" in estimate["price"]["expectation"]


def test_before_its_first_curve_it_says_so(api: TestClient, alone: str):
    response = api.get(f"/v1/jobs/{alone}/range-test")
    assert (response.status_code, "no curve yet" in response.json()["hint"]) == (409, True)


def test_while_it_trains_no_run_counts_as_diverged_and_nothing_is_read(api: TestClient, world: World, alone: str):
    while not isinstance(taken := world.store.queue.claim(world.offer, lease_seconds=600, lock_seconds=600), LeasedRun):
        assert isinstance(taken, StudyLock)
        run_planning_step(world.store, lock=taken)
    lrs = taken.schedule.lrs(100)
    points = [CurvePoint(step=n, lr=lrs[n - 1], train_loss=loss(lrs[n - 1]), val_loss=9.0) for n in range(2, 61, 2)]
    world.store.leases.heartbeat(taken, points=points, updates=60, lease_seconds=600)
    test = api.get(f"/v1/jobs/{alone}/range-test").json()
    assert (test["diverged"], len(test["points"])) == (0, 30)
    assert set(test["readings"].values()) == {None}
    assert "not ended" in test["summary"]


def test_a_job_without_one_says_how_to_ask_for_one(api: TestClient, world: World):
    response = api.get(f"/v1/jobs/{world.job().id}/range-test")
    assert '{"range_test": {}}' in response.json()["hint"]


def test_a_search_with_one_begins_with_it_and_stays_below_its_bound(api: TestClient, world: World):
    body = {"workload": "digits-mlp", "search": {"range_test": TEST, "total_steps": 90, "seed": 1}}  # shorter than it
    job_id = api.post("/v1/jobs", json=body).json()["id"]
    swept(world, job_id)
    trials = world.store.trials.list(job_id, limit=10).items
    assert [trial.number for trial in trials][:2] == [RANGE_TEST_TRIAL, 0]
    bound = api.get(f"/v1/jobs/{job_id}/range-test").json()["readings"]["last_stable"]
    assert trials[1].schedule.peak_lr <= bound
    rates = api.get(f"/v1/jobs/{job_id}/schedules").json()["items"]
    assert [one["trial"] for one in rates] == [0]
    curves = api.get(f"/v1/jobs/{job_id}/curves", params={"trial": RANGE_TEST_TRIAL}).json()["items"]
    assert [len(one["points"]) for one in curves] == [50, 50]
    shown = api.get(f"/v1/jobs/{job_id}/trials").json()["items"]
    assert shown[0]["role"] == "range_test"
    assert api.get(f"/v1/jobs/{job_id}").json()["progress"]["trials"]["opened"] == 1
