"""The report on what is there, for jobs in every state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.integration.service.world import World
from tuner.jobs.records import JobRecord, StudyLock
from tuner.jobs.states import TrialState
from tuner.report.report import Report
from tuner.store import Store
from tuner_service.standings import MAX_AGE_SECONDS, MAX_CACHED, Standings


def half_done(world: World) -> tuple[JobRecord, StudyLock]:
    """A job with two of three trials trained."""
    job = world.job()
    lock = world.started(job)
    for number, loss in enumerate((0.9, 0.6)):
        world.train(loss=loss)
        world.store.planning.close_trial(lock, number=number, state=TrialState.COMPLETED, reason="at the horizon")
    world.compared(job, lock=lock)
    return job, lock


ENDS: dict[str, Callable[[Store, JobRecord, StudyLock], object]] = {
    "running": lambda store, job, lock: None,
    "paused": lambda store, job, lock: store.jobs.pause(job.id),
    "cancelled": lambda store, job, lock: store.jobs.cancel(job.id, reason="enough"),
    "failed": lambda store, job, lock: store.planning.fail_job(lock, error="no more"),
}


@pytest.mark.parametrize("state", ENDS)
def test_a_job_in_any_state_has_a_report_on_what_is_there(api: TestClient, world: World, state: str):
    job, lock = half_done(world)
    ENDS[state](world.store, job, lock)
    standing = api.get(f"/v1/jobs/{job.id}/standing").json()
    report = Report.model_validate(standing["report"])
    assert (standing["job_id"], standing["state"], standing["final"]) == (job.id, state, False)
    assert [trial.number for trial in report.trials] == [0, 1, 2]
    assert sorted(candidate.trial for candidate in report.candidates) == [0, 1]
    assert report.cost.full_runs == 2
    assert "2 of 9 full runs" in report.end_reason
    assert standing["sentence"].startswith("So far, ")
    assert report.finding in standing["sentence"]


@pytest.mark.parametrize("state", ENDS)
def test_its_recommended_trial_is_the_best_of_the_job(api: TestClient, world: World, state: str):
    job, lock = half_done(world)
    ENDS[state](world.store, job, lock)
    best = api.get(f"/v1/jobs/{job.id}").json()["progress"]["best"]
    recommended = api.get(f"/v1/jobs/{job.id}/standing").json()["report"]["recommended"]
    assert (best["trial"], best["label"]) == (recommended["trial"], recommended["label"])
    # The plan also counts the runs that it has requested, which a cancelled job has no more.
    assert best["value"] == pytest.approx(recommended["expected"], rel=1e-6 if state in ("running", "paused") else 0.01)


def test_that_of_a_completed_job_is_the_report(api: TestClient, world: World):
    job = world.completed()
    standing = api.get(f"/v1/jobs/{job.id}/standing").json()
    assert standing["report"] == api.get(f"/v1/jobs/{job.id}/report").json()
    assert (standing["final"], standing["sentence"]) == (True, standing["report"]["finding"])


def test_before_a_run_has_reached_the_horizon_it_says_so(api: TestClient, world: World):
    waiting, started = world.job(), world.job()
    assert api.get(f"/v1/jobs/{waiting.id}/standing").json()["report"] is None
    world.store.jobs.cancel(waiting.id, reason="not this one")
    world.started(started)
    world.train(loss=None)
    world.claim()
    standing = api.get(f"/v1/jobs/{started.id}/standing").json()
    assert standing["report"] is None
    assert "no run has reached the horizon yet" in standing["sentence"]
    assert "1 of its runs have ended, 1 train now" in standing["sentence"]


def test_what_a_running_run_has_cost_so_far_counts_and_no_more(api: TestClient, world: World):
    job, _ = half_done(world)
    lease = world.claim()
    world.store.leases.heartbeat(lease, points=[], updates=0, lease_seconds=600)
    assert api.get(f"/v1/jobs/{job.id}/standing").json()["report"]["cost"]["full_runs"] == 2


def test_a_report_that_is_not_ready_names_the_standing(api: TestClient, world: World):
    job, _ = half_done(world)
    refused = api.get(f"/v1/jobs/{job.id}/report")
    assert refused.status_code == 409
    assert f"GET /v1/jobs/{job.id}/standing" in refused.json()["detail"]


def test_it_is_built_once_for_one_state_of_the_study(world: World, monkeypatch: pytest.MonkeyPatch):
    import tuner.job_reports

    built: list[str] = []
    build = tuner.job_reports.standing_report
    monkeypatch.setattr(
        "tuner.job_reports.standing_report",
        lambda store, *, record: built.append(record.job.id) or build(store, record=record),
    )
    now = [0.0]
    job, _ = half_done(world)
    standings = Standings(world.store, clock=lambda: now[0])
    first = standings.read(job.id)
    assert standings.read(job.id) == first
    assert len(built) == 1
    now[0] += MAX_AGE_SECONDS + 1
    standings.read(job.id)
    assert len(built) == 2
    world.train(loss=0.5)
    report = standings.read(job.id).report
    assert len(built) == 3
    assert report is not None
    assert len(report.candidates) == 3
    assert len(standings._built) == 1 <= MAX_CACHED
