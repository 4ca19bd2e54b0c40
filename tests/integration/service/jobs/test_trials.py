"""The trials of a job: what each is called, how its runs ended, and why it began and ended."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.digits import SCHEDULES
from tests.integration.service.world import LOSSES, World
from tuner.jobs.states import TrialState


def test_a_trial_has_a_label_and_the_loss_of_every_run_that_ended(api: TestClient, world: World):
    job = world.completed()
    trials = api.get(f"/v1/jobs/{job.id}/trials").json()["items"]
    assert [trial["label"] for trial in trials] == [schedule.label for schedule in SCHEDULES]
    for trial, loss in zip(trials, LOSSES, strict=True):
        assert [one["loss"] for one in trial["losses"]] == [loss, loss + 0.001, loss + 0.002]
        assert {(one["steps"], one["state"]) for one in trial["losses"]} == {(90, "succeeded")}
        assert len({one["seed"] for one in trial["losses"]}) == 3


def test_a_run_that_diverged_is_there_without_a_loss_and_one_that_waits_is_not(api: TestClient, world: World):
    job = world.job()
    world.started(job)
    world.train(loss=None)
    first, second, _ = api.get(f"/v1/jobs/{job.id}/trials").json()["items"]
    assert [(one["state"], one["steps"], one["loss"]) for one in first["losses"]] == [("diverged", 20, None)]
    assert second["losses"] == []


def test_losses_have_the_direction_of_the_metric(api: TestClient, world: World):
    from sqlalchemy import text

    job = world.job()
    with world.store._database._engine.begin() as connection:
        metric = '{"name": "accuracy", "direction": "maximize", "unit": "%"}'
        connection.execute(text("UPDATE tuner_jobs SET metric = :metric"), {"metric": metric})
    world.started(job)
    world.train(loss=-93.5)
    first = api.get(f"/v1/jobs/{job.id}/trials").json()["items"][0]
    assert [one["loss"] for one in first["losses"]] == [93.5]


def test_why_it_ended_is_apart_from_why_it_began(api: TestClient, world: World):
    job = world.job()
    lock = world.started(job)
    world.train(loss=0.5)
    world.store.planning.close_trial(lock, number=0, state=TrialState.COMPLETED, reason="at the horizon")
    first, second, _ = api.get(f"/v1/jobs/{job.id}/trials").json()["items"]
    assert (first["reason"], first["end_reason"]) == ("trial 0", "at the horizon")
    assert (second["reason"], second["end_reason"]) == ("trial 1", None)
