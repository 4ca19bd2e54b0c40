"""Runs over HTTP: pages, downsampled curves, and logs."""

from __future__ import annotations

import math

from fastapi.testclient import TestClient

from tests.integration.service.world import WORKER, World
from tuner.jobs.records import CurvePoint
from tuner.store import Store


def test_pages_hold_every_run_once_in_order(api: TestClient, world: World, store: Store):
    job = world.completed()
    for path, everything in (("runs", store.runs.list(job.id)), ("trials", store.trials.list(job.id))):
        seen, cursor = [], {}
        while True:
            page = api.get(f"/v1/jobs/{job.id}/{path}", params={"limit": 2, **cursor}).json()
            assert len(page["items"]) <= 2
            seen += [one["id"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == [one.id for one in everything.items]


def test_runs_can_be_filtered_by_trial_and_state(api: TestClient, world: World):
    job = world.job()
    world.started(job)
    done = world.train(loss=0.5)
    by_state = api.get(f"/v1/jobs/{job.id}/runs", params={"state": "succeeded"}).json()["items"]
    by_trial = api.get(f"/v1/jobs/{job.id}/runs", params={"trial": 1}).json()["items"]
    assert [run["id"] for run in by_state] == [done.run_id]
    assert [run["trial_number"] for run in by_trial] == [1]


def test_runs_are_found_by_the_start_of_their_id(api: TestClient, world: World):
    world.started(world.job())
    run_id = world.claim().run_id
    for start in (run_id[:4], run_id[:8], run_id):
        assert run_id in [run["id"] for run in api.get("/v1/runs", params={"id": start}).json()]
    assert api.get("/v1/runs", params={"id": "00000000-0000"}).json() == []
    for start in ("", run_id[:3], "%25%25%25%25", f"{run_id}0"):
        assert api.get("/v1/runs", params={"id": start}).status_code == 422


def test_a_curve_is_thinned_and_keeps_what_matters(api: TestClient, world: World, store: Store):
    world.started(world.job())
    lease = world.claim()
    losses = [1.0 - step / 100 for step in range(28)] + [math.nan, math.nan]
    points = [CurvePoint(step=step, lr=0.1, train_loss=1.0, val_loss=loss) for step, loss in enumerate(losses)]
    store.leases.heartbeat(lease, points=points, updates=30, lease_seconds=60)
    whole = api.get(f"/v1/runs/{lease.run_id}/curve").json()
    thin = api.get(f"/v1/runs/{lease.run_id}/curve", params={"points": 6}).json()
    assert (len(whole), len(thin)) == (30, 6)
    assert {0, 27, 28, 29} <= {point["step"] for point in thin}
    assert whole[28]["value"] is None
    assert all(point in whole for point in thin)


def test_a_log_is_read_piece_by_piece_to_its_end(api: TestClient, world: World, store: Store):
    world.started(world.job())
    lease = world.claim()
    path = f"/v1/runs/{lease.run_id}/log"
    assert api.get(path).json() == {"chunks": [], "next": -1, "complete": False}
    for text in ("one\n", "two\n", "three\n"):
        store.leases.append_log(lease, text)
    first = api.get(path, params={"limit": 2}).json()
    assert [chunk["text"] for chunk in first["chunks"]] == ["one\n", "two\n"]
    assert first["complete"] is False
    rest = api.get(path, params={"after": first["next"]}).json()
    assert [chunk["text"] for chunk in rest["chunks"]] == ["three\n"]
    assert rest["complete"] is False
    store.leases.finish(lease, loss=0.5, step=lease.total_steps, updates=lease.total_steps)
    end = api.get(path, params={"after": rest["next"]}).json()
    assert end == {"chunks": [], "next": rest["next"], "complete": True}


def test_a_run_and_its_job_tell_failed_attempts_from_lost_ones_and_a_retry_begins_anew(
    api: TestClient, world: World, store: Store
):
    job = world.job()
    world.started(job)
    run_id = world.claim().run_id
    assert store.reaper.free_worker(WORKER) == 1
    lost = world.claim()
    store.leases.lose(lost, reason="its node is gone")
    for _ in range(3):
        failed = world.claim()
        store.leases.fail(failed, reason="the runner was killed by SIGSEGV", retry=True)
    assert {lost.run_id, failed.run_id} == {run_id}

    run = api.get(f"/v1/runs/{run_id}").json()
    assert (run["state"], run["failed_attempts"], run["lost_attempts"]) == ("failed", 3, 2)
    assert run["error"] == "given up after 3 failed attempts: the runner was killed by SIGSEGV"
    seen = api.get(f"/v1/jobs/{job.id}").json()
    assert (seen["failed_attempts"], seen["lost_attempts"]) == (3, 2)
    events = store.events.after(0, job_id=job.id)
    ends = [event.data["end"] for event in events if event.kind in ("run.requeued", "run.failed")]
    assert ends == ["lost", "lost", "failed", "failed", "failed"]

    assert api.post(f"/v1/jobs/{job.id}/cancel").is_success
    assert api.post(f"/v1/jobs/{job.id}/retry").is_success
    again = api.get(f"/v1/runs/{run_id}").json()
    assert (again["state"], again["failed_attempts"], again["lost_attempts"]) == ("queued", 0, 0)
    assert again["attempts"] >= run["attempts"]
    seen = api.get(f"/v1/jobs/{job.id}").json()
    assert (seen["failed_attempts"], seen["lost_attempts"]) == (0, 0)
