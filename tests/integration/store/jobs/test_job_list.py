"""Finding jobs, trials, runs and what they printed: the same on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.builders import STEPS, Bench, point, spec
from tuner.errors import InvalidValue, NotFound
from tuner.jobs.admission.change import JobChange
from tuner.jobs.curves import downsample
from tuner.jobs.states import RunState
from tuner.people.permissions import EVERYTHING, Actor, Visibility
from tuner.store import Store

Sql = Callable[..., list[Any]]


def named(store: Store, **filters: Any) -> list[str]:
    return [job.spec.name for job in store.jobs.list(**filters).items]


class TestFilters:
    def test_each_lets_through_what_it_names(self, store: Store) -> None:
        store.jobs.submit(spec(name="a", team="red"), by=Actor(user="ann"))
        store.jobs.submit(spec(name="b", team="red"), by=Actor(user="bob"))
        store.jobs.submit(spec(name="c", team="blue"), by=Actor(user="ann"))
        assert named(store) == ["c", "b", "a"]
        assert named(store, team="red") == ["b", "a"]
        assert named(store, owner="ann") == ["c", "a"]
        assert named(store, team="red", owner="ann") == ["a"]
        assert named(store, workload="digits-mlp") == ["c", "b", "a"]
        assert named(store, workload="digits") == []

    def test_pages_keep_the_filter(self, store: Store) -> None:
        for number in range(6):
            store.jobs.submit(spec(name=str(number), team="red" if number % 2 else "blue"))
        first = store.jobs.list(team="red", limit=2)
        second = store.jobs.list(team="red", limit=2, cursor=first.next_cursor)
        assert [job.spec.name for job in first.items + second.items] == ["5", "3", "1"]
        assert second.next_cursor is None


class TestVisibility:
    def test_teams_see_their_own_jobs_and_shared_ones(self, store: Store) -> None:
        store.jobs.submit(spec(name="own", team="red"))
        store.jobs.submit(spec(name="private", team="blue"))
        store.jobs.submit(spec(name="shared", team="blue", shared=True))
        red = Visibility(teams=frozenset({"red"}))
        assert named(store, visibility=red) == ["shared", "own"]
        assert named(store, visibility=red, team="blue") == ["shared"]
        assert named(store, visibility=red, text="private") == []
        assert named(store, visibility=Visibility(teams=frozenset())) == ["shared"]
        assert named(store, visibility=EVERYTHING) == ["shared", "private", "own"]


class TestText:
    @pytest.fixture
    def jobs(self, store: Store) -> Store:
        store.jobs.submit(spec(name="First Look", notes="Why the WARM-UP matters"))
        store.jobs.submit(spec(name="100% sure_thing", notes=""))
        store.jobs.submit(spec(name="back\\slash"))
        return store

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("first", ["First Look"]),
            ("warm-up", ["First Look"]),
            ("0%", ["100% sure_thing"]),
            ("%", ["100% sure_thing"]),
            ("e_t", ["100% sure_thing"]),
            ("_", ["100% sure_thing"]),
            ("\\", ["back\\slash"]),
            ("DIGITS", ["back\\slash", "100% sure_thing", "First Look"]),
            ("", ["back\\slash", "100% sure_thing", "First Look"]),
            ("nowhere", []),
            ("/", []),
        ],
    )
    def test_it_stands_in_the_name_the_notes_or_the_workload(self, jobs: Store, text: str, found: list[str]) -> None:
        assert named(jobs, text=text) == found

    def test_or_begins_the_id(self, jobs: Store) -> None:
        job = jobs.jobs.list().items[1]
        assert [one.id for one in jobs.jobs.list(text=job.id[:13].upper()).items] == [job.id]
        assert jobs.jobs.list(text=job.id[1:14]).items == ()

    def test_changed_names_and_notes_are_found(self, jobs: Store) -> None:
        job = jobs.jobs.list().items[0]
        jobs.jobs.change(job.id, JobChange(name="other", notes="elsewhere"))
        assert named(jobs, text="slash") == []
        assert named(jobs, text="elsewhere") == ["other"]


class TestPagesOfAJob:
    def test_trials_come_by_number_and_none_is_missed(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=5)
        first = store.trials.list(job.id, limit=2)
        second = store.trials.list(job.id, limit=2, cursor=first.next_cursor)
        third = store.trials.list(job.id, limit=2, cursor=second.next_cursor)
        numbers = [trial.number for page in (first, second, third) for trial in page.items]
        assert (numbers, third.next_cursor) == (list(range(5)), None)

    def test_one_trial_is_found_by_its_number(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=2)
        assert store.trials.get(job.id, number=1) == store.trials.list(job.id).items[1]
        with pytest.raises(NotFound, match=f"there is no trial '2'. Job {job.id} has trials 0 to 1"):
            store.trials.get(job.id, number=2)
        empty = store.jobs.submit(spec())
        with pytest.raises(NotFound, match="has no trials yet"):
            store.trials.get(empty.id, number=0)

    def test_runs_are_filtered_by_trial_and_state(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=3)
        done = bench.claim()
        store.leases.finish(done, loss=0.5, step=STEPS, updates=STEPS)
        assert [run.id for run in store.runs.list(job.id, state=RunState.SUCCEEDED).items] == [done.run_id]
        assert [run.trial_number for run in store.runs.list(job.id, trial=2).items] == [2]
        assert store.runs.list(job.id, trial=2, state=RunState.SUCCEEDED).items == ()
        first = store.runs.list(job.id, limit=2)
        second = store.runs.list(job.id, limit=2, cursor=first.next_cursor)
        assert [run.trial_number for run in first.items + second.items] == [0, 1, 2]
        assert second.next_cursor is None

    @pytest.mark.parametrize("what", ["trials", "runs"])
    def test_a_wrong_page_is_refused(self, store: Store, what: str) -> None:
        job = store.jobs.submit(spec())
        with pytest.raises(InvalidValue, match="limit must be in"):
            getattr(store, what).list(job.id, limit=501)
        with pytest.raises(InvalidValue, match="cursor must be the next_cursor"):
            getattr(store, what).list(job.id, cursor="x")


class TestCurvesAndLogs:
    def test_a_curve_is_thinned_on_request(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        points = tuple(point(step, val_loss=1.0 / (1 + step)) for step in range(0, 61, 2))
        store.leases.heartbeat(lease, points=points, lease_seconds=60.0)
        assert store.runs.curve(lease.run_id) == points
        assert store.runs.curve(lease.run_id, points=7) == downsample(points, max_points=7)
        with pytest.raises(InvalidValue, match="points must be at least 4"):
            store.runs.curve(lease.run_id, points=3)

    def test_a_log_is_read_on_from_any_piece(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        for text in ("one\n", "two\n", "three\n"):
            store.leases.append_log(lease, text)
        whole = store.runs.log(lease.run_id)
        assert "".join(chunk.text for chunk in whole) == "one\ntwo\nthree\n"
        assert store.runs.log(lease.run_id, limit=1) == whole[:1]
        assert store.runs.log(lease.run_id, after=whole[0].seq) == whole[1:]
        assert store.runs.log(lease.run_id, after=2**70) == ()
        with pytest.raises(NotFound, match="there is no run 'nobody'"):
            store.runs.log("nobody")
