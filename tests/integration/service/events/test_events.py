"""Event streams: complete, resumable, and never in the way of a shutdown."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from tests.integration.service.live import PATIENCE_SECONDS, served, service_process, wait_until
from tests.integration.service.team import SPEECH, VISION, as_user, settle
from tests.integration.service.world import World
from tuner.client import Client
from tuner.errors import DatabaseUnavailable
from tuner.jobs.admission.change import JobChange
from tuner.jobs.records import EventRecord, JobRecord
from tuner.people.permissions import Actor
from tuner.store import Store
from tuner_service.settings import Settings


def messages(api: TestClient, job_id: str, *, after: int | None = None) -> list[httpx2.ServerSentEvent]:
    """Everything that the stream of an ended job says."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with api.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(httpx2.EventSource(answer))


class TestTheStreamOfAnEndedJob:
    def test_it_streams_every_event_in_order_then_ends(self, api: TestClient, world: World, store: Store):
        job = world.completed()
        *told, end = messages(api, job.id)
        stored = store.events.after(0, job_id=job.id, limit=1000)
        assert [(one.event, int(one.id)) for one in told] == [(event.kind, event.id) for event in stored]
        assert [json.loads(one.data)["data"] for one in told] == [event.data for event in stored]
        assert (end.event, json.loads(end.data)) == ("end", {"state": "completed"})

    def test_it_resumes_after_any_event(self, api: TestClient, world: World):
        job = world.completed()
        *told, _ = messages(api, job.id)
        for position in (0, len(told) // 2, len(told) - 2, len(told) - 1):
            *rest, end = messages(api, job.id, after=int(told[position].id))
            assert [one.id for one in rest] == [one.id for one in told[position + 1 :]]
            assert end.event == "end"

    def test_more_events_than_one_batch_are_all_streamed(
        self, api: TestClient, world: World, store: Store, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("tuner_service.events.routes._BATCH", 3)
        job = world.completed()
        *told, _ = messages(api, job.id)
        assert len(told) == len(store.events.after(0, job_id=job.id, limit=1000)) > 3

    def test_only_the_jobs_own_events_are_streamed(self, api: TestClient, world: World, store: Store):
        world.completed()
        other = world.job()
        store.jobs.cancel(other.id, reason="no")
        *told, _ = messages(api, other.id)
        assert {json.loads(one.data)["job_id"] for one in told} == {other.id}

    def test_a_job_that_is_not_there_is_refused_before_the_stream_begins(self, api: TestClient):
        assert api.get("/v1/jobs/nope/events").status_code == 404


class Watcher:
    """Reads a job's events in a thread."""

    def __init__(self, events: Iterator[EventRecord]) -> None:
        self.seen: list[EventRecord] = []
        self._events = events
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for event in self._events:
            self.seen.append(event)

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.seen) >= count, what=f"{count} events")

    def join(self) -> list[EventRecord]:
        self._thread.join(timeout=PATIENCE_SECONDS)
        assert not self._thread.is_alive()
        return self.seen


def test_events_arrive_as_they_happen_and_survive_a_restart(settings: Settings, store: Store, world: World):
    job = world.job()
    with served(settings.model_copy(update={"port": 0}), store=store) as first:
        url, port = first.address, int(first.address.rsplit(":", 1)[1])
        watcher = Watcher(Client(url).events(job.id))
        watcher.wait_for(1)
        world.started(job)
        watcher.wait_for(4)
    world.train(loss=0.5)
    with served(settings.model_copy(update={"port": port}), store=store):
        world.train(loss=0.4)
        store.jobs.cancel(job.id, reason="enough")
        seen = watcher.join()
    assert [event.id for event in seen] == [event.id for event in store.events.after(0, job_id=job.id, limit=1000)]
    assert seen[-1].kind == "job.cancelled"


def test_a_stream_outlives_an_outage_of_the_database(
    settings: Settings, store: Store, world: World, monkeypatch: pytest.MonkeyPatch
):
    job = world.job()
    with served(settings.model_copy(update={"port": 0}), store=store) as server:
        watcher = Watcher(Client(server.address).events(job.id))
        watcher.wait_for(1)
        refused = threading.Event()

        def away(*_: object, **__: object) -> None:
            refused.set()
            raise DatabaseUnavailable("connection refused")

        with monkeypatch.context() as outage:
            outage.setattr(store.events, "after", away)
            assert refused.wait(PATIENCE_SECONDS)
        store.jobs.cancel(job.id, reason="enough")
        assert watcher.join()[-1].kind == "job.cancelled"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_in_order_with_a_stream_open(
    settings: Settings, world: World, tmp_path: Path, number: signal.Signals
):
    job = world.job()
    with service_process(tmp_path) as service:
        headers = {"Last-Event-ID": "0"}
        with httpx2.stream("GET", f"{service.url}/v1/jobs/{job.id}/events", headers=headers) as answer:
            said = httpx2.EventSource(answer).__iter__()
            assert next(said).event == "job.submitted"
            service.process.send_signal(number)
            assert list(said) == []
            assert service.process.wait(timeout=PATIENCE_SECONDS) == 0
    assert "graceful" not in (tmp_path / "service.log").read_text()  # the stream ended by itself, it was not cut


class TestTheStreamOfAllJobs:
    def test_it_streams_every_job_from_now_on_and_ends_with_the_service(
        self, settings: Settings, store: Store, world: World
    ):
        world.job()
        with served(settings.model_copy(update={"port": 0}), store=store) as server:
            watcher = Watcher(taken(Client(server.address).events(), 2))
            # Nothing tells when a stream has begun: jobs are made until it has told of two.
            made = []
            wait_until(lambda: bool(made.append(world.job().id)) or len(watcher.seen) >= 2, what="two events")
            seen = watcher.join()
        assert [event.kind for event in seen] == ["job.submitted"] * 2
        assert {event.job_id for event in seen} <= set(made)

    def test_it_resumes_after_any_event(self, settings: Settings, store: Store, world: World):
        jobs = [world.job().id for _ in range(4)]
        first = store.events.after(0)[0].id
        with served(settings.model_copy(update={"port": 0}), store=store) as server:
            seen = list(taken(Client(server.address).events(after=first), 3))
        assert [event.job_id for event in seen] == jobs[1:]


def test_a_stream_ends_when_its_job_is_deleted(settings: Settings, store: Store, world: World):
    job = world.job()
    events = f"/v1/jobs/{job.id}/events"
    with (
        served(settings.model_copy(update={"port": 0}), store=store) as server,
        httpx2.stream("GET", f"{server.address}{events}") as answer,
    ):
        said = iter(httpx2.EventSource(answer))
        assert next(said).event == "job.submitted"
        store.jobs.cancel(job.id, reason="no")
        store.jobs.delete(job.id)
        assert {one.event for one in said} <= {"job.cancelled", "end"}
    with served(settings.model_copy(update={"port": 0}), store=store) as server:
        assert httpx2.get(f"{server.address}{events}").status_code == 404


def test_a_stream_ends_when_its_job_is_shared_no_longer(settings: Settings, store: Store, world: World):
    people = settle(store)
    job = world.job(by=Actor(user="cleo"), team=VISION, shared=True)
    guarded = settings.model_copy(update={"port": 0, "auth": "on"})
    with served(guarded, store=store) as server:
        path = f"{server.address}/v1/jobs/{job.id}/events"
        with httpx2.stream("GET", path, headers=as_user(people.eve)) as answer:
            said = iter(httpx2.EventSource(answer))
            assert next(said).event == "job.submitted"
            store.jobs.change(job.id, JobChange(shared=False))
            assert "end" not in [one.event for one in said]


def test_another_teams_events_are_not_among_those_of_all_jobs(settings: Settings, store: Store, world: World):
    people = settle(store)
    begin = store.events.latest()
    private = world.job(by=Actor(user="cleo"), team=VISION)
    shared = world.job(by=Actor(user="cleo"), team=VISION, shared=True)
    own = world.job(by=Actor(user="eve"), team=SPEECH)
    guarded = settings.model_copy(update={"port": 0, "auth": "on"})
    with served(guarded, store=store) as server, Client(server.address, token=people.eve) as client:
        seen = [event.job_id for event in taken(client.events(after=begin), 2)]
    assert seen == [shared.id, own.id]
    assert private.id not in seen


def test_what_happens_to_others_is_read_once(
    settings: Settings, store: Store, world: World, monkeypatch: pytest.MonkeyPatch
):
    people = settle(store)
    begin = store.events.latest()
    world.job(by=Actor(user="cleo"), team=VISION)
    last_of_others = store.events.latest()
    read, starts = store.events.after, list[int]()

    def noted(event_id: int, **given: Any) -> tuple[EventRecord, ...]:
        starts.append(event_id)
        return read(event_id, **given)

    monkeypatch.setattr(store.events, "after", noted)
    guarded = settings.model_copy(update={"port": 0, "auth": "on"})
    with served(guarded, store=store) as server, Client(server.address, token=people.eve) as client:
        watcher = Watcher(taken(client.events(after=begin), 1))
        wait_until(lambda: bool(starts), what="the first look")
        own = world.job(by=Actor(user="eve"), team=SPEECH)
        assert [event.job_id for event in watcher.join()] == [own.id]
    assert starts[0] == begin
    assert all(start >= last_of_others for start in starts[1:])


def test_a_token_has_so_many_streams_open_and_no_more(settings: Settings, store: Store, world: World):
    people = settle(store)
    guarded = settings.model_copy(update={"port": 0, "auth": "on", "stream_limit": 1})
    job = world.job(by=Actor(user="eve"), team=SPEECH)
    with served(guarded, store=store) as server:

        def status(path: str, secret: str) -> int:
            with httpx2.stream("GET", f"{server.address}{path}", headers=as_user(secret)) as answer:
                return answer.status_code

        of_job = f"/v1/jobs/{job.id}/events"
        with httpx2.stream("GET", f"{server.address}{of_job}", headers=as_user(people.eve)) as answer:
            said = iter(httpx2.EventSource(answer))  # the stream closes with it
            assert next(said).event == "job.submitted"
            assert [status(path, people.eve) for path in (of_job, "/v1/events")] == [429, 429]
            assert status("/v1/events", people.ada) == 200, "each has their own"
        wait_until(lambda: status(of_job, people.eve) == 200, what="the closed stream to count no more")


def taken(events: Iterator[EventRecord], count: int) -> Iterator[EventRecord]:
    """The first events of a stream that may have no end; the stream is closed after them."""
    with closing(events):  # type: ignore[type-var] # a generator
        yield from islice(events, count)


def test_streams_that_wait_share_one_poll(
    settings: Settings, store: Store, world: World, monkeypatch: pytest.MonkeyPatch
):
    job = world.job()
    polls: list[str] = []
    read = store.jobs.get

    def counted(job_id: str) -> JobRecord:
        polls.append(job_id)
        return read(job_id)

    enough, shared, latest = threading.Event(), [], store.events.latest

    def counted_latest() -> int:
        shared.append(1)
        if len(shared) == 20:
            enough.set()
        return latest()

    monkeypatch.setattr(store.events, "latest", counted_latest)
    monkeypatch.setattr(store.jobs, "get", counted)
    monkeypatch.setattr("tuner_service.events.routes.RECHECK_SECONDS", PATIENCE_SECONDS)
    with (
        served(settings.model_copy(update={"port": 0}), store=store) as server,
        httpx2.Client(base_url=server.address) as client,
        ExitStack() as opened,
    ):
        for _ in range(8):
            opened.enter_context(client.stream("GET", f"/v1/jobs/{job.id}/events"))
        enough.clear()
        shared.clear()
        assert enough.wait(PATIENCE_SECONDS)
        opened.close()
    assert len(polls) <= 8 * 4  # at its start each stream reads the job for its rights, and until it has caught up
