"""What people do to a stored job: change, pause, resume, try again, delete. The same on both databases."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import pytest

from tests.integration.store.builders import STEPS, Bench, point, spec
from tuner.errors import IllegalTransition, InvalidValue, LeaseLost, NotFound, StudyLockLost
from tuner.jobs.admission.change import JobChange
from tuner.jobs.priority import Priority
from tuner.jobs.records import SnapshotRef
from tuner.jobs.spec import Limits
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.people.permissions import Actor
from tuner.store import Store

Sql = Callable[..., list[Any]]
ANN = Actor(user="ann", token_id="t1", request_id="r1")


def audited(sql: Sql) -> list[tuple[str, str, str, str]]:
    return [tuple(row) for row in sql("SELECT actor, action, target, team FROM tuner_audit ORDER BY id")]


class TestChange:
    def test_what_is_given_is_stored_and_told(self, bench: Bench, store: Store, sql: Sql) -> None:
        job = store.jobs.submit(spec())
        change = JobChange(name="new", notes="why", shared=True, priority=Priority.HIGH, trials=9)
        found = store.jobs.change(job.id, change, by=ANN)
        assert (found.spec.name, found.spec.notes, found.spec.shared) == ("new", "why", True)
        assert (found.spec.priority, found.spec.search.trials) == (Priority.HIGH, 9)
        assert store.jobs.get(job.id) == found
        row = sql("SELECT name, shared, priority FROM tuner_jobs")[0]
        assert (row.name, bool(row.shared), row.priority) == ("new", True, Priority.HIGH.rank)
        (event,) = [event for event in store.events.after(0, job_id=job.id) if event.kind == "job.changed"]
        assert event.data == {"fields": ["name", "notes", "priority", "shared", "trials"]}
        assert audited(sql)[-1] == ("ann", "job.change", job.id, job.spec.team)

    def test_a_refused_change_changes_nothing(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=3)
        with pytest.raises(InvalidValue, match="trials must be at least 3: this many have been opened"):
            store.jobs.change(job.id, JobChange(name="new", trials=2))
        assert store.jobs.get(job.id) == job

    def test_whoever_plans_meanwhile_plans_in_vain(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        store.jobs.change(job.id, JobChange(trials=30))
        lock = bench.lock()
        store.jobs.change(job.id, JobChange(trials=1))
        with pytest.raises(StudyLockLost):
            bench.add_trial(lock, 1)
        assert bench.lock().job_id == job.id

    @pytest.mark.parametrize("change", [JobChange(name="x"), JobChange(shared=True), JobChange(priority=Priority.LOW)])
    def test_what_does_not_bear_on_the_plan_leaves_it_alone(
        self, bench: Bench, store: Store, change: JobChange
    ) -> None:
        job = bench.running_job()
        assert not store.jobs.change(job.id, change).plan_due

    def test_a_completed_job_can_be_renamed_and_no_more(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=STEPS)
        store.planning.complete_job(bench.lock(), report={})
        assert store.jobs.change(job.id, JobChange(name="x", notes="y", shared=True)).spec.name == "x"
        for refused in (JobChange(priority=Priority.LOW), JobChange(trials=99), JobChange(limits=Limits(patience=3))):
            with pytest.raises(IllegalTransition, match="is completed and cannot be changed in"):
                store.jobs.change(job.id, refused)

    def test_the_limits_of_a_job_that_failed_can_be_raised_before_it_is_tried_again(
        self, bench: Bench, store: Store
    ) -> None:
        job = store.jobs.submit(spec())
        store.planning.fail_job(bench.lock(), error="time is up")
        changed = store.jobs.change(job.id, JobChange(limits=Limits(wall_hours=9.0)))
        assert (changed.state, changed.plan_due) == (JobState.FAILED, False)
        assert store.jobs.retry(job.id).spec.limits.wall_hours == 9.0

    def test_a_limit_that_is_raised_is_reached_no_more(self, bench: Bench, store: Store, sql: Sql) -> None:
        job = bench.running_job(limits=Limits(device_hours=1.0, wall_hours=5.0))
        sql("UPDATE tuner_jobs SET limit_reached = 'device_hours', device_seconds = 4000")
        kept = store.jobs.change(job.id, JobChange(limits=Limits(wall_hours=6.0)))
        assert kept.limit_reached is not None
        raised = store.jobs.change(job.id, JobChange(limits=Limits(device_hours=2.0)))
        assert (raised.limit_reached, raised.plan_due) == (None, True)
        assert raised.spec.limits == Limits(device_hours=2.0, wall_hours=6.0)


class TestPause:
    def test_nothing_of_a_paused_job_is_claimed_or_planned(self, bench: Bench, store: Store, sql: Sql) -> None:
        job = bench.running_job(runs=2)
        paused = store.jobs.pause(job.id, by=ANN)
        assert (paused.state, paused.plan_due) == (JobState.PAUSED, False)
        assert bench.nothing_to_claim()
        assert audited(sql)[-1] == ("ann", "job.pause", job.id, job.spec.team)

    def test_its_runs_may_end_and_count(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=1)
        lease = bench.claim()
        store.jobs.pause(job.id)
        store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)
        assert store.runs.get(lease.run_id).state is RunState.SUCCEEDED

    def test_whoever_plans_meanwhile_plans_in_vain(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        lock = bench.lock()
        store.jobs.pause(job.id)
        with pytest.raises(StudyLockLost):
            store.planning.start_job(lock)
        assert store.jobs.resume(job.id).state is JobState.QUEUED

    def test_it_goes_on_where_it_was(self, bench: Bench, store: Store, sql: Sql) -> None:
        job = bench.running_job(runs=1)
        store.jobs.pause(job.id)
        resumed = store.jobs.resume(job.id, by=ANN)
        assert (resumed.state, resumed.plan_due, resumed.started_at) == (JobState.RUNNING, True, job.started_at)
        assert bench.claim().job_id == job.id
        assert bench.kinds(job.id)[-3:-1] == ["job.paused", "job.resumed"]
        assert audited(sql)[-1] == ("ann", "job.resume", job.id, job.spec.team)

    def test_asked_for_twice_it_happens_once(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        assert store.jobs.resume(job.id) == job
        assert store.jobs.pause(job.id) == store.jobs.pause(job.id)
        assert store.jobs.resume(job.id) == store.jobs.resume(job.id)
        assert bench.kinds(job.id) == ["job.submitted", "job.paused", "job.resumed"]

    @pytest.mark.parametrize("move", ["pause", "resume"])
    def test_a_job_that_is_over_is_refused(self, store: Store, move: str) -> None:
        job = store.jobs.submit(spec())
        store.jobs.cancel(job.id, reason="enough")
        with pytest.raises(IllegalTransition, match="is cancelled and cannot be"):
            getattr(store.jobs, move)(job.id)

    def test_a_paused_job_can_be_cancelled(self, store: Store) -> None:
        job = store.jobs.submit(spec())
        store.jobs.pause(job.id)
        assert store.jobs.cancel(job.id, reason="enough").state is JobState.CANCELLED


class TestRetry:
    def test_what_was_cancelled_with_the_job_is_trained_from_the_start_and_results_stay(
        self, bench: Bench, store: Store, sql: Sql
    ) -> None:
        job = bench.running_job(runs=3)
        done, cut = bench.claim(), bench.claim()
        store.leases.finish(done, loss=0.5, step=STEPS, updates=STEPS)
        store.leases.heartbeat(cut, points=[point(30)], updates=30, lease_seconds=60.0)
        store.leases.save_snapshot(cut, SnapshotRef(step=30, path="/snap"))
        store.jobs.cancel(job.id, reason="enough")
        again = store.jobs.retry(job.id, by=ANN)
        assert (again.state, again.error, again.finished_at, again.plan_due) == (JobState.RUNNING, None, None, True)
        assert again.updates_spent == STEPS + 30
        states = {run.id: (run.state, run.attempts, run.step) for run in store.runs.list(job.id).items}
        assert states.pop(done.run_id) == (RunState.SUCCEEDED, 1, STEPS)
        assert sorted(states.values()) == [(RunState.QUEUED, 0, 0), (RunState.QUEUED, 1, 0)]
        assert {trial.state for trial in store.trials.list(job.id).items} == {TrialState.ACTIVE}
        assert store.runs.curve(cut.run_id) == ()
        taken = bench.claim()
        # Not attempt 1 again: its code may not know yet that it has lost the lease, and write to that folder.
        assert (taken.run_id, taken.attempt, taken.snapshot) == (cut.run_id, 2, None)
        with pytest.raises(LeaseLost):
            store.leases.finish(cut, loss=0.1, step=STEPS, updates=1)
        assert audited(sql)[-1] == ("ann", "job.retry", job.id, job.spec.team)
        (event,) = [event for event in store.events.after(0, job_id=job.id) if event.kind == "job.retried"]
        assert event.data == {"runs": 2}

    def test_what_failed_is_tried_again_with_all_its_attempts(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=2)
        store.leases.fail(bench.claim(), reason="a crash", retry=True)
        failed = bench.claim()
        store.leases.fail(failed, reason="no such file", retry=False)
        store.leases.lose(bench.claim(), reason="its node is gone")
        other = bench.claim()
        store.leases.finish(other, loss=0.5, step=STEPS, updates=STEPS)
        counted = store.jobs.get(job.id)
        assert (counted.failed_attempts, counted.lost_attempts) == (2, 1)
        lock = bench.lock()
        store.planning.close_trial(lock, number=0, state=TrialState.FAILED, reason="no such file")
        store.planning.fail_job(lock, error="the workload does not run")
        store.jobs.retry(job.id)
        run, trial = store.runs.list(job.id).items[0], store.trials.list(job.id).items[0]
        assert (run.state, run.error, run.finished_at, run.started_at) == (RunState.QUEUED, None, None, None)
        assert (run.failed_attempts, run.lost_attempts) == (0, 0)
        assert (trial.state, trial.reason) == (TrialState.ACTIVE, "trial 0")
        counted = store.jobs.get(job.id)
        assert (counted.failed_attempts, counted.lost_attempts) == (0, 1)

    def test_a_job_that_was_never_planned_is_queued_again(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        store.jobs.cancel(job.id, reason="enough")
        again = store.jobs.retry(job.id)
        assert (again.state, again.started_at) == (JobState.QUEUED, None)
        assert bench.lock().job_id == job.id

    def test_the_wall_time_counts_anew(self, bench: Bench, store: Store, sql: Sql) -> None:
        job = bench.running_job(limits=Limits(wall_hours=1.0))
        sql("UPDATE tuner_jobs SET started_at = started_at - 9000, limit_reached = 'wall_hours'")
        store.jobs.cancel(job.id, reason="enough")
        again = store.jobs.retry(job.id)
        assert again.limit_reached is None
        assert again.started_at is not None
        assert again.started_at >= job.created_at

    def test_only_what_failed_or_was_cancelled_is_tried_again(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        with pytest.raises(IllegalTransition, match="is running and cannot be retried"):
            store.jobs.retry(job.id)
        store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=STEPS)
        store.planning.complete_job(bench.lock(), report={})
        with pytest.raises(IllegalTransition, match="is completed and cannot be retried"):
            store.jobs.retry(job.id)


class TestDelete:
    def test_nothing_of_it_is_left_but_the_audit_log(self, bench: Bench, store: Store, sql: Sql) -> None:
        kept = bench.running_job(runs=1)
        job = store.jobs.submit(spec(), by=ANN, idempotency_key="k")
        lock = bench.lock()
        store.planning.start_job(lock)
        bench.add_trial(lock, 0)
        store.planning.release(lock, again=False)
        for _ in range(2):
            lease = bench.claim()
            store.leases.heartbeat(lease, points=[point(30)], lease_seconds=60.0)
            store.leases.save_snapshot(lease, SnapshotRef(step=30, path="/snap"))
            store.leases.append_log(lease, "epoch 1\n")
        store.jobs.cancel(job.id, reason="enough")
        before = counts(sql)
        store.jobs.delete(job.id, by=ANN)
        with pytest.raises(NotFound):
            store.jobs.get(job.id)
        left = counts(sql)
        assert {name for name in before if left[name] != before[name]} == set(before)
        assert store.jobs.get(kept.id).spec == kept.spec
        assert len(store.runs.list(kept.id).items) == 1
        assert audited(sql)[-1] == ("ann", "job.delete", job.id, job.spec.team)
        assert store.jobs.submit(spec(), by=ANN, idempotency_key="k").id != job.id

    def test_a_job_that_is_not_over_is_refused(self, store: Store) -> None:
        job = store.jobs.submit(spec())
        with pytest.raises(IllegalTransition, match="is queued and cannot be deleted before it is over"):
            store.jobs.delete(job.id)
        assert store.jobs.get(job.id) == job


def counts(sql: Sql) -> dict[str, int]:
    tables = ("jobs", "trials", "runs", "curve_points", "snapshots", "run_logs", "events")
    return {table: sql(f"SELECT count(*) FROM tuner_{table}")[0][0] for table in tables}


@pytest.mark.parametrize(
    "call",
    ["jobs.pause", "jobs.resume", "jobs.retry", "jobs.delete", "jobs.status", "trials.list", "runs.list"],
)
def test_a_job_that_does_not_exist_is_named(store: Store, call: str) -> None:
    with pytest.raises(NotFound, match="there is no job 'nobody'"):
        attrgetter(call)(store)("nobody")


def test_what_people_do_is_audited_once(store: Store, sql: Sql) -> None:
    job = store.jobs.submit(spec(), by=ANN, idempotency_key="k")
    store.jobs.submit(spec(), by=ANN, idempotency_key="k")
    store.jobs.cancel(job.id, reason="enough", by=ANN)
    store.jobs.cancel(job.id, reason="again", by=ANN)
    assert [(actor, action) for actor, action, *_ in audited(sql)] == [("ann", "job.submit"), ("ann", "job.cancel")]
