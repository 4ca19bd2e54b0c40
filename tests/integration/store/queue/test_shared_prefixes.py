"""Which runs a worker is told of when it begins one, and which it is given next."""

from __future__ import annotations

import pytest

from tests.integration.store.builders import STEPS, Bench, new_run, offer, schedule
from tuner.errors import InvalidValue
from tuner.job_reports import study_result
from tuner.jobs.branch_points import branch_points_of
from tuner.jobs.records import LeasedRun, StudyLock
from tuner.jobs.study_state import study_state
from tuner.schedules import Constant, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.stage_tree import likely_branch_points
from tuner.store import Store
from tuner.store.queue.shared_prefixes import MAX_SIBLING_RUNS

HOLD = Schedule(peak_lr=0.1, family=Constant(), warmup=Warmup(shape="linear", updates=5))
COOLDOWN = Schedule(peak_lr=0.1, family=Wsd(cooldown=0.5), warmup=Warmup(shape="linear", updates=5))


def claim(store: Store, *, prefix_key: str | None = None, worker: str = "w1") -> LeasedRun:
    found = store.queue.claim(offer(worker), lease_seconds=60.0, lock_seconds=60.0, prefix_key=prefix_key)
    assert isinstance(found, LeasedRun)
    return found


def planning(bench: Bench, job_id: str) -> StudyLock:
    """The study lock of a job for which planning is made due."""
    bench.store.jobs.pause(job_id)
    bench.store.jobs.resume(job_id)
    return bench.lock()


def started(bench: Bench, *runs: dict) -> str:
    """A running job with a trial for each run."""
    job = bench.running_job(runs=0)
    lock = planning(bench, job.id)
    for number, changes in enumerate(runs):
        run = new_run(**changes)
        bench.add_trial(lock, number, run=run, configuration=Configuration(schedule=run.schedule))
    bench.store.planning.release(lock, again=False)
    return job.id


class TestRelatives:
    def test_they_are_the_runs_in_the_queue_with_the_same_seed(self, bench: Bench, store: Store) -> None:
        started(bench, {"schedule": HOLD}, {"schedule": COOLDOWN}, {"schedule": schedule(), "seed": 8})
        lease = claim(store)
        found = store.queue.sibling_runs(lease)
        assert [(one.schedule, one.total_steps) for one in found] == [(COOLDOWN, STEPS)]
        kept = branch_points_of(lease, sibling_runs=found)
        likely = likely_branch_points(lease.schedule, total_steps=lease.total_steps)
        assert set(kept) == {48, *likely}  # the first rate of the cooldown is still the peak

    def test_with_searched_options_they_are_those_of_the_same_ones(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=0)
        lock = planning(bench, job.id)
        for number, (one, width) in enumerate([(HOLD, 8), (COOLDOWN, 8), (COOLDOWN, 16), (HOLD, 64)]):
            configuration = Configuration(schedule=one, options=(("width", width),))
            bench.add_trial(lock, number, run=new_run(schedule=one), configuration=configuration)
        store.planning.release(lock, again=False)
        lease = claim(store)
        assert (lease.schedule, lease.options) == (HOLD, {"width": 8})
        assert [one.schedule for one in store.queue.sibling_runs(lease)] == [COOLDOWN]

    def test_a_run_that_another_worker_has_is_none(self, bench: Bench, store: Store) -> None:
        started(bench, {"schedule": HOLD}, {"schedule": COOLDOWN})
        claim(store, worker="w2")
        assert store.queue.sibling_runs(claim(store)) == ()

    def test_only_so_many_are_looked_at(self, bench: Bench, store: Store) -> None:
        started(bench, *[{"schedule": schedule(0.001 * number)} for number in range(1, MAX_SIBLING_RUNS + 10)])
        found = store.queue.sibling_runs(claim(store))
        assert [one.schedule.peak_lr for one in found] == [0.001 * number for number in range(2, MAX_SIBLING_RUNS + 2)]


class TestPreference:
    def test_a_worker_stays_on_its_trunk_and_else_takes_the_oldest(self, bench: Bench, store: Store) -> None:
        started(
            bench, {"schedule": schedule()}, {"schedule": HOLD}, {"schedule": schedule(0.2)}, {"schedule": COOLDOWN}
        )
        first = claim(store, worker="w2")
        second = claim(store)
        assert [first.schedule, second.schedule] == [schedule(), HOLD]
        third = claim(store, prefix_key=second.prefix_key)
        assert third.schedule == COOLDOWN
        assert claim(store, prefix_key=third.prefix_key).schedule == schedule(0.2)

    def test_a_run_planned_before_there_were_trunks_is_taken_in_its_turn(self, bench: Bench, store: Store, sql) -> None:
        started(bench, {"schedule": HOLD}, {"schedule": schedule()}, {"schedule": COOLDOWN})
        sql("UPDATE tuner_runs SET prefix_key = NULL WHERE trial_number < 2")
        lease = claim(store)
        assert (lease.prefix_key, lease.schedule) == (None, HOLD)
        assert claim(store).schedule == schedule()

    def test_another_job_of_the_same_trunk_does_not_come_before_its_turn(self, bench: Bench, store: Store) -> None:
        started(bench, {"schedule": HOLD}, {"schedule": schedule()})
        lease = claim(store)
        other = bench.ready_job(runs=1)
        assert claim(store, prefix_key=lease.prefix_key).job_id == lease.job_id != other.id


class TestAccount:
    def test_shared_updates_are_kept_with_the_result_and_counted_for_the_job(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=2)
        for _ in range(2):
            store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=STEPS - 30, shared_updates=30)
        run = store.runs.list(job.id).items[0]
        assert (run.updates, run.shared_updates) == (STEPS - 30, 30)
        found = store.jobs.get(job.id)
        assert (found.updates_spent, found.updates_saved) == (2 * (STEPS - 30), 60)
        record = store.planning.load(job.id)
        state = study_state(record)
        assert state.steps_committed == 2 * STEPS
        assert study_result(record, state=state, end_reason="").updates_saved == 60

    @pytest.mark.parametrize("shared", [-1, STEPS + 1])
    def test_more_than_was_trained_cannot_be_shared(self, bench: Bench, store: Store, shared: int) -> None:
        job = bench.running_job()
        with pytest.raises(InvalidValue, match="shared_updates"):
            store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=0, shared_updates=shared)
        assert store.jobs.get(job.id).updates_saved == 0
