"""The client against a service that really listens."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.digits import DIGITS, REQUEST, SCHEDULES
from tests.integration.service.live import served, wait_until
from tests.integration.service.world import World
from tuner import import_schedule
from tuner.api.jobs import JobDetail, JobSummary, TrialView
from tuner.api.runs import CurveSample, RunCurve, RunView
from tuner.api.workloads import WorkloadView
from tuner.client import ApiProblem, Client, ServiceUnreachable
from tuner.exports import EXPORTERS
from tuner.jobs.admission.admit import JobRequest
from tuner.jobs.records import CurvePoint
from tuner.jobs.states import JobState
from tuner.report.report import Report
from tuner.schedules import FAMILIES
from tuner.store import Store
from tuner_service.settings import Settings


@pytest.fixture
def client(settings: Settings, store: Store) -> Iterator[Client]:
    with served(settings.model_copy(update={"port": 0}), store=store) as server, Client(server.address) as client:
        client.wait_ready(30)
        yield client


def test_it_returns_the_records_of_the_store(client: Client, world: World, store: Store):
    job = world.completed()
    run = store.runs.list(job.id).items[0]
    stored = Report.model_validate(store.jobs.report(job.id))
    assert client.job(job.id) == JobDetail.of_status(store.jobs.status(job.id))
    losses = store.trials.losses(job.id, numbers=range(3))
    trials = store.trials.list(job.id).items
    assert client.trials(job.id) == tuple(TrialView.of(trial, losses=losses[trial.number]) for trial in trials)
    (summary,), (overview,) = client.job_summaries(), store.jobs.overviews([job.id])
    assert summary == replace(JobSummary.of(overview), age_seconds=summary.age_seconds)
    assert client.runs(job.id) == tuple(map(RunView.of, store.runs.list(job.id).items))
    runs = store.runs.list(job.id).items
    assert tuple(client.curves(job.id)) == tuple(RunCurve.of(one, points=store.runs.curve(one.id)) for one in runs)
    assert [one.trial for one in client.curves(job.id, trial=1)] == [1, 1, 1]
    assert [one.trial for one in client.rates(job.id)] == [0, 1, 2]
    assert client.run(run.id) == RunView.of(run)
    points = store.runs.curve(run.id)
    assert client.curve(run.id) == tuple(CurveSample.of(point, metric=run.metric) for point in points)
    assert client.report(job.id) == client.standing(job.id).report == stored
    assert tuple(client.events(job.id)) == store.events.after(0, job_id=job.id, limit=1000)
    assert client.workloads() == (client.workload("digits-mlp"),) == (WorkloadView.of(DIGITS),)
    assert [family.name for family in client.families()] == list(FAMILIES)
    assert [each.name for each in client.formats()] == list(EXPORTERS)
    assert [worker.name for worker in client.workers()] == ["w1"]
    assert client.export(job.id) == stored.recommended.schedule
    assert client.export(job.id, trial=1, total_steps=900) == SCHEDULES[1].compressed(900, from_steps=90)
    assert client.export_as(job.id, format="csv", trial=0).splitlines()[:2] == ["update,lr", "0,0.1"]
    arguments = {"learning_rate": 2e-5, "lr_scheduler_type": "cosine", "warmup_steps": 9}
    read = client.import_schedule(json.dumps(arguments), total_steps=90)
    assert read == import_schedule(arguments, total_steps=90)
    preview = client.preview(SCHEDULES[1], total_steps=90, points=3)
    assert (preview.digest, [point.update for point in preview.points]) == (SCHEDULES[1].digest, [0, 44, 89])


def test_a_job_is_submitted_found_and_cancelled(client: Client, world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tuner.client.transport.PAGE", 2)
    by_mapping = client.submit(REQUEST, idempotency_key="k")
    assert client.submit(REQUEST, idempotency_key="k") == by_mapping
    by_model = client.submit(JobRequest(workload="digits-mlp"))
    third = client.submit({"workload": "digits-mlp"})
    assert [job.id for job in client.jobs()] == [third.id, by_model.id, by_mapping.id]
    cancelled = client.cancel(third.id, reason="wrong data")
    assert cancelled.state is JobState.CANCELLED
    assert [job.id for job in client.jobs(states=[JobState.CANCELLED])] == [third.id]


def test_a_loss_that_is_not_finite_is_nan(client: Client, world: World, store: Store):
    world.started(world.job())
    lease = world.claim()
    points = [CurvePoint(step=10, lr=0.1, train_loss=1.0, val_loss=math.nan)]
    store.leases.heartbeat(lease, points=points, updates=10, lease_seconds=60)
    (point,) = client.curve(lease.run_id)
    assert point.value is None


def test_a_log_is_followed_while_the_run_prints_and_ends_with_it(
    client: Client, world: World, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tuner.client.runs._FOLLOW_SECONDS", 0.01)
    world.started(world.job())
    lease = world.claim()
    seen: list[str] = []

    def follow() -> None:
        for chunk in client.log_chunks(lease.run_id, follow=True):
            seen.append(chunk.text)  # noqa: PERF401

    follower = threading.Thread(target=follow)
    follower.start()
    printed: list[str] = []
    for number in range(3):
        printed.append(f"line {number}\n")
        store.leases.append_log(lease, printed[-1])
        wait_until(lambda: seen == printed, what="the line to be seen")
        assert follower.is_alive()
    assert [chunk.text for chunk in client.log_chunks(lease.run_id, after=1)] == ["line 2\n"]
    store.leases.finish(lease, loss=0.5, step=lease.total_steps, updates=lease.total_steps)
    follower.join(60)
    assert not follower.is_alive()
    assert seen == ["line 0\n", "line 1\n", "line 2\n"]


def test_a_log_is_followed_over_a_restart_of_the_service(
    settings: Settings, world: World, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tuner.client.runs._FOLLOW_SECONDS", 0.01)
    world.started(world.job())
    lease = world.claim()
    store.leases.append_log(lease, "before\n")
    with served(settings.model_copy(update={"port": 0}), store=store) as first:
        url = first.address
        client = Client(url)
        pieces = client.log_chunks(lease.run_id, follow=True)
        assert next(pieces).text == "before\n"
    store.leases.append_log(lease, "after\n")
    store.leases.finish(lease, loss=0.5, step=lease.total_steps, updates=lease.total_steps)
    port = int(url.rpartition(":")[2])
    again = threading.Event()

    def serve() -> None:
        with served(settings.model_copy(update={"port": port}), store=store):
            again.wait(60)

    server = threading.Thread(target=serve)
    server.start()
    try:
        assert [piece.text for piece in pieces] == ["after\n"]
    finally:
        again.set()
        server.join()
        client.close()
    with Client(url) as nobody, pytest.raises(ServiceUnreachable):
        list(nobody.log_chunks(lease.run_id, follow=True, patience=0.05))


def test_a_refusal_keeps_its_members(client: Client, world: World):
    with pytest.raises(ApiProblem, match="width must be at least 1") as caught:
        client.submit({"workload": "digits-mlp", "options": {"width": 0}})
    assert caught.value.type == "/problems/invalid-request"
    assert caught.value.members["field"] == "options.width"
