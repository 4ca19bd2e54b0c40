"""The queue against a model of it: whatever happens in whatever order, no run is lost and none recorded twice."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from tests.integration.store.builders import OFFER, STEPS, Bench, announce, claim_run, offer, point
from tuner.errors import LeaseLost
from tuner.jobs.attempts import MAX_FAILED_ATTEMPTS
from tuner.jobs.records import LeasedRun, SnapshotRef
from tuner.jobs.states import JobState, RunState
from tuner.store import Reaped, Store
from tuner.store.db.engine import WRITES, connect, parse_url

WORKERS = st.sampled_from(["w1", "w2"])
RUNS_PER_JOB = 3
LOST_LIMIT = 2
ENDED = {RunState.SUCCEEDED: "run.succeeded", RunState.DIVERGED: "run.diverged", RunState.FAILED: "run.failed"}


@dataclass
class ModelRun:
    """What the model knows of a run."""

    state: RunState = RunState.QUEUED
    attempts: int = 0
    failed: int = 0
    lost: int = 0
    lost_in_a_row: int = 0
    token: str | None = None
    worker: str | None = None
    expired: bool = False
    loss: float | None = None
    snapshot: SnapshotRef | None = None
    evaluated: bool = False

    def end(self, state: RunState, *, loss: float | None = None) -> None:
        self.state, self.loss, self.token, self.expired = state, loss, None, False

    def fail(self) -> None:
        self.failed += 1
        self.back(given_up=self.failed >= MAX_FAILED_ATTEMPTS)

    def lose(self) -> bool:
        self.lost += 1
        self.lost_in_a_row += 1
        return self.back(given_up=self.lost_in_a_row >= LOST_LIMIT)

    def move_on(self, snapshot: SnapshotRef) -> None:
        if self.snapshot is None or snapshot.step > self.snapshot.step:
            self.lost_in_a_row = 0
        self.snapshot = snapshot

    def back(self, *, given_up: bool = False) -> bool:
        """Put it back or give it up; tell whether it is back."""
        if given_up:
            self.end(RunState.FAILED)
            return False
        self.state, self.token, self.worker, self.expired = RunState.QUEUED, None, None, False
        return True


@dataclass
class ModelJob:
    """What the model knows of a job."""

    runs: dict[str, ModelRun]
    state: JobState = JobState.RUNNING
    updates: int = 0


class Machine(RuleBasedStateMachine):
    """Workers, a reaper and a user at a queue of two jobs."""

    def __init__(self, *, template: Path, file: Path) -> None:
        super().__init__()
        self.file = file
        self.leases: list[LeasedRun] = []  # all that were ever given: the late writers among them try too
        url = f"sqlite:///{shutil.copy(template, file)}"
        self.store = Store(url)
        self.engine = connect(parse_url(url)).execution_options(**{WRITES: True})
        announce(self.store, "w1", device="cpu", workloads=[OFFER])
        bench = Bench(self.store)
        # In the order of the queue: the second job has the higher priority.
        ids = [bench.running_job(runs=RUNS_PER_JOB, priority=priority).id for priority in ("normal", "high")][::-1]
        self.jobs = {
            job_id: ModelJob(runs={run.id: ModelRun() for run in self.store.runs.list(job_id).items}) for job_id in ids
        }

    def teardown(self) -> None:
        self.check_that_every_end_was_told_once()
        self.store.close()
        self.engine.dispose()
        for left in self.file.parent.glob(f"{self.file.name}*"):
            left.unlink()

    def all_runs(self) -> list[tuple[ModelJob, str, ModelRun]]:
        return [(job, run_id, run) for job in self.jobs.values() for run_id, run in job.runs.items()]

    def held(self, lease: LeasedRun) -> tuple[ModelJob, ModelRun] | None:
        job = self.jobs[lease.job_id]
        run = job.runs[lease.run_id]
        return (job, run) if run.token == lease.token else None

    @rule(worker=WORKERS)
    def claim(self, worker: str) -> None:
        lease = claim_run(self.store, offer(worker), lease_seconds=3600.0)
        ready = [(run_id, run) for _, run_id, run in self.all_runs() if run.state is RunState.QUEUED]
        if lease is None:
            assert not ready
            return
        run_id, run = ready[0]
        assert (lease.run_id, lease.snapshot) == (run_id, run.snapshot)
        run.attempts += 1
        assert lease.attempt == run.attempts
        run.state, run.worker, run.token = RunState.LEASED, worker, lease.token
        self.leases.append(lease)

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(),
        verb=st.sampled_from(["heartbeat", "snapshot", "finish", "diverge", "fail", "retry", "lose", "release"]),
        step=st.integers(1, 3),
    )
    def write(self, data: st.DataObject, verb: str, step: int) -> None:
        # The latest leases are drawn more often: they are the ones that hold.
        lease = self.leases[-1 - data.draw(st.integers(0, min(3, len(self.leases) - 1)))]
        held = self.held(lease)
        if held is None:
            with pytest.raises(LeaseLost):
                self.send(verb, lease, step=step)
            return
        self.send(verb, lease, step=step)
        job, run = held
        job.updates += 10
        match verb:
            case "heartbeat":
                run.expired = False
                run.lost_in_a_row = run.lost_in_a_row if run.evaluated else 0
                run.evaluated = True
            case "snapshot":
                run.move_on(SnapshotRef(step=step, path=lease.token))
            case "finish":
                run.end(RunState.SUCCEEDED, loss=0.5)
            case "diverge":
                run.end(RunState.DIVERGED)
            case "fail":
                run.failed += 1
                run.end(RunState.FAILED)
            case "retry":
                run.fail()
            case "lose":
                run.lose()
            case "release":
                assert run.back()

    def send(self, verb: str, lease: LeasedRun, *, step: int) -> None:
        leases = self.store.leases
        match verb:
            case "heartbeat":
                leases.heartbeat(lease, points=[point(30)], updates=10, lease_seconds=3600.0)
            case "snapshot":
                leases.save_snapshot(lease, SnapshotRef(step=step, path=lease.token), updates=10)
            case "finish":
                leases.finish(lease, loss=0.5, step=STEPS, updates=10)
            case "diverge":
                leases.finish(lease, loss=None, step=30, updates=10, reason="NaN")
            case "fail" | "retry":
                leases.fail(lease, reason="it broke", retry=verb == "retry", updates=10)
            case "lose":
                leases.lose(lease, reason="its node is gone", lost_limit=LOST_LIMIT, updates=10)
            case "release":
                leases.release(lease, updates=10)

    @rule(worker=WORKERS)
    def expire(self, worker: str) -> None:
        with self.engine.begin() as connection:
            expire = "UPDATE tuner_runs SET lease_expires_at = 1.0 WHERE state = 'leased' AND worker = :worker"
            connection.execute(text(expire), {"worker": worker})
        for _, _, run in self.all_runs():
            if run.state is RunState.LEASED and run.worker == worker:
                run.expired = True

    @rule()
    def reap(self) -> None:
        back = [run.lose() for _, _, run in self.all_runs() if run.state is RunState.LEASED and run.expired]
        assert self.store.reaper.reap(lost_limit=LOST_LIMIT) == Reaped(requeued=sum(back), failed=len(back) - sum(back))

    @rule(worker=WORKERS)
    def restart(self, worker: str) -> None:
        held = [run for _, _, run in self.all_runs() if run.state is RunState.LEASED and run.worker == worker]
        for run in held:
            run.lose()
        assert self.store.reaper.free_worker(worker, lost_limit=LOST_LIMIT) == len(held)

    @precondition(lambda self: len(self.leases) > 3)
    @rule(which=st.integers(0, 1))
    def cancel(self, which: int) -> None:
        job_id, job = list(self.jobs.items())[which]
        assert self.store.jobs.cancel(job_id, reason="enough").state is JobState.CANCELLED
        job.state = JobState.CANCELLED
        for run in job.runs.values():
            if run.state in (RunState.QUEUED, RunState.LEASED):
                run.end(RunState.CANCELLED)

    @invariant()
    def the_store_agrees(self) -> None:
        with self.engine.begin() as connection:
            jobs = connection.execute(text("SELECT id, state, updates_spent FROM tuner_jobs ORDER BY priority DESC"))
            assert [tuple(row) for row in jobs] == [
                (job_id, job.state.value, job.updates) for job_id, job in self.jobs.items()
            ]
            columns = "id, state, attempts, failed_attempts, lost_attempts, lost_in_a_row, loss"
            runs = connection.execute(text(f"SELECT {columns} FROM tuner_runs ORDER BY seq"))
            assert sorted(tuple(row) for row in runs) == sorted(
                (run_id, run.state.value, run.attempts, run.failed, run.lost, run.lost_in_a_row, run.loss)
                for _, run_id, run in self.all_runs()
            )
            counts = connection.execute(text("SELECT id, failed_attempts, lost_attempts FROM tuner_jobs"))
            assert {row.id: (row.failed_attempts, row.lost_attempts) for row in counts} == {
                job_id: (sum(run.failed for run in job.runs.values()), sum(run.lost for run in job.runs.values()))
                for job_id, job in self.jobs.items()
            }

    def check_that_every_end_was_told_once(self) -> None:
        events = self.store.events.after(0, limit=1_000)
        told = Counter((event.data["run"], event.kind) for event in events if event.kind in ENDED.values())
        assert told == {(run_id, ENDED[run.state]): 1 for _, run_id, run in self.all_runs() if run.state in ENDED}


def test_the_queue_behaves_as_its_model(sqlite_template: Path, tmp_path: Path) -> None:
    numbers = itertools.count()
    run_state_machine_as_test(
        lambda: Machine(template=sqlite_template, file=tmp_path / f"{next(numbers)}.db"),  # type: ignore[arg-type]
        settings=settings(max_examples=15, stateful_step_count=40, deadline=None),
    )
