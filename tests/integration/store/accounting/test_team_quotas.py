"""What a team lets its members submit, exactly, however many submit at once: the same on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.store.builders import spec
from tuner.errors import IdempotencyConflict, InvalidValue, LimitReached, NotFound
from tuner.jobs.admission.change import JobChange
from tuner.jobs.admission.strict_json import request_digest
from tuner.jobs.priority import Priority
from tuner.people.permissions import LOCAL_ACTOR, Actor
from tuner.people.records import TeamSettings
from tuner.store import Store
from tuner.store.accounting.usage import first_hour_of_month

Sql = Callable[..., list[Any]]
ANN, BOB = Actor(user="ann"), Actor(user="bob")
HOUR = 3600.0


def put_team(store: Store, name: str = "red", **settings: Any) -> None:
    store.people.put_team(name, TeamSettings(**settings), by=LOCAL_ACTOR)


def use(store: Store, sql: Sql, *, owner: str, seconds: float, at: float) -> None:
    sql(
        "INSERT INTO tuner_usage (team, owner, hour, device_seconds, updates) VALUES ('red', :owner, :hour, :s, 0)",
        owner=owner,
        hour=int(at // HOUR),
        s=seconds,
    )


class TestOpenJobs:
    def test_of_a_team_are_limited_until_one_is_over(self, store: Store) -> None:
        put_team(store, max_open_jobs=2)
        first, _ = (store.jobs.submit(spec(team="red"), by=one) for one in (ANN, BOB))
        with pytest.raises(LimitReached, match="max_open_jobs of team red allows 2, and this would make it 3"):
            store.jobs.submit(spec(team="red"), by=ANN)
        store.jobs.pause(first.id)  # set aside, not over
        with pytest.raises(LimitReached):
            store.jobs.submit(spec(team="red"), by=ANN)
        store.jobs.cancel(first.id, reason="enough")
        store.jobs.submit(spec(team="red"), by=ANN)

    def test_of_a_user_are_limited_for_each(self, store: Store) -> None:
        put_team(store, user_max_open_jobs=1)
        store.jobs.submit(spec(team="red"), by=ANN)
        with pytest.raises(LimitReached, match="user_max_open_jobs of user ann in team red allows 1"):
            store.jobs.submit(spec(team="red"), by=ANN)
        store.jobs.submit(spec(team="red"), by=BOB)

    def test_of_other_teams_do_not_count(self, store: Store) -> None:
        put_team(store, max_open_jobs=1)
        put_team(store, "blue")
        for _ in range(3):
            store.jobs.submit(spec(team="blue"), by=ANN)
        store.jobs.submit(spec(team="red"), by=ANN)

    def test_a_job_that_is_tried_again_counts_as_a_new_one(self, store: Store) -> None:
        put_team(store, max_open_jobs=1)
        job = store.jobs.submit(spec(team="red"), by=ANN)
        store.jobs.cancel(job.id, reason="enough")
        other = store.jobs.submit(spec(team="red"), by=BOB)
        with pytest.raises(LimitReached):
            store.jobs.retry(job.id)
        store.jobs.cancel(other.id, reason="enough")
        store.jobs.retry(job.id)

    @pytest.mark.parametrize("limit", ["max_open_jobs", "user_max_open_jobs"])
    def test_sent_at_once_exactly_as_many_get_in_as_there_is_room_for(self, store: Store, limit: str) -> None:
        limits: dict[str, Any] = {limit: 3}
        put_team(store, **limits)

        def submit(_: int) -> bool:
            try:
                store.jobs.submit(spec(team="red"), by=ANN)
            except LimitReached:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(submit, range(16))) == 3
        assert len(store.jobs.list(team="red").items) == 3


class TestDeviceHours:
    def test_of_the_month_that_are_used_up_end_submitting(self, store: Store, sql: Sql) -> None:
        put_team(store, device_hours_per_month=2.0, user_device_hours_per_month=1.0)
        for one in (ANN, BOB):
            store.jobs.submit(spec(team="red"), by=one)
        use(store, sql, owner="ann", seconds=HOUR, at=store.now())
        with pytest.raises(LimitReached, match="user_device_hours_per_month of user ann in team red allows 1"):
            store.jobs.submit(spec(team="red"), by=ANN)
        store.jobs.submit(spec(team="red"), by=BOB)
        use(store, sql, owner="bob", seconds=HOUR, at=store.now())
        with pytest.raises(LimitReached, match="device_hours_per_month of team red allows 2"):
            store.jobs.submit(spec(team="red"), by=BOB)

    def test_of_the_month_before_do_not_count(self, store: Store, sql: Sql) -> None:
        put_team(store, device_hours_per_month=1.0)
        store.jobs.submit(spec(team="red"), by=ANN)
        use(store, sql, owner="ann", seconds=99 * HOUR, at=first_hour_of_month(store.now()) * HOUR - 1)
        store.jobs.submit(spec(team="red"), by=ANN)


@given(now=st.datetimes(datetime(1970, 2, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_month_begins_at_midnight_of_its_first_day(now: datetime) -> None:
    start = datetime.fromtimestamp(first_hour_of_month(now.timestamp()) * HOUR, tz=UTC)
    assert (start.year, start.month, start.day) == (now.year, now.month, 1)
    assert (start.hour, start.minute, start.second, start.microsecond) == (0, 0, 0, 0)


class TestPriority:
    def test_above_the_teams_highest_is_refused_at_submission_and_later(self, store: Store) -> None:
        put_team(store, highest_priority=Priority.NORMAL)
        with pytest.raises(InvalidValue, match="priority must be at most normal for this team, got 'high'"):
            store.jobs.submit(spec(team="red", priority=Priority.HIGH))
        job = store.jobs.submit(spec(team="red"))
        with pytest.raises(InvalidValue, match="priority must be at most normal"):
            store.jobs.change(job.id, JobChange(priority=Priority.HIGH))
        assert store.jobs.change(job.id, JobChange(priority=Priority.LOW)).spec.priority is Priority.LOW

    def test_where_nobody_logs_in_every_class_may_be_used(self, store: Store) -> None:
        assert store.jobs.submit(spec(priority=Priority.HIGH)).spec.priority is Priority.HIGH


class TestTeams:
    def test_where_there_are_teams_a_job_belongs_to_one_of_them(self, store: Store) -> None:
        put_team(store)
        with pytest.raises(NotFound, match="there is no team 'blue'"):
            store.jobs.submit(spec(team="blue"))

    def test_where_there_are_none_a_team_is_a_label(self, store: Store) -> None:
        assert store.jobs.submit(spec(team="any")).spec.team == "any"


class TestReplay:
    DIGEST = request_digest({"workload": "digits-mlp"})

    def test_the_same_request_gives_the_same_job_whatever_has_changed_since(self, store: Store) -> None:
        put_team(store, max_open_jobs=1)
        job = store.jobs.submit(spec(team="red"), idempotency_key="k", request_digest=self.DIGEST)
        assert store.jobs.find_repeated("red", idempotency_key="k", request_digest=self.DIGEST) == job
        again = spec(team="red", options={"width": 128})
        assert store.jobs.submit(again, idempotency_key="k", request_digest=self.DIGEST) == job

    def test_an_unknown_key_is_none(self, store: Store) -> None:
        store.jobs.submit(spec(team="red"), idempotency_key="k", request_digest=self.DIGEST)
        assert store.jobs.find_repeated("red", idempotency_key="other", request_digest=self.DIGEST) is None
        assert store.jobs.find_repeated("blue", idempotency_key="k", request_digest=self.DIGEST) is None

    @pytest.mark.parametrize("stored", [None, request_digest({})])
    def test_another_request_is_a_conflict(self, store: Store, stored: str | None) -> None:
        job = store.jobs.submit(spec(), idempotency_key="k", request_digest=stored)
        for again in (
            lambda: store.jobs.find_repeated("default", idempotency_key="k", request_digest=self.DIGEST),
            lambda: store.jobs.submit(spec(), idempotency_key="k", request_digest=self.DIGEST),
        ):
            with pytest.raises(IdempotencyConflict) as caught:
                again()
            assert caught.value.job_id == job.id

    def test_sent_at_once_it_becomes_one_job(self, store: Store) -> None:
        def submit(_: int) -> str:
            return store.jobs.submit(spec(), idempotency_key="k", request_digest=self.DIGEST).id

        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(submit, range(16)))) == 1

    def test_a_clone_knows_its_origin(self, store: Store) -> None:
        job = store.jobs.submit(spec())
        assert store.jobs.submit(job.spec, origin=job.id).origin == job.id
