"""A database as workers would have left it, and services over it."""

from __future__ import annotations

from typing import Any

from tests.digits import DIGITS, REQUEST, SCHEDULES
from tests.integration.store.builders import announce, claim_lock, claim_run, offer
from tuner.job_reports import study_result
from tuner.jobs.admission.admit import admit
from tuner.jobs.records import (
    CurvePoint,
    JobRecord,
    LeasedRun,
    NewRun,
    StudyLock,
    StudyRecord,
    WorkerOffer,
)
from tuner.jobs.states import TrialState
from tuner.jobs.study_state import best_trial, study_state
from tuner.orchestrator import run_planning_step
from tuner.people.permissions import LOCAL_ACTOR, Actor
from tuner.report.build import build_report
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Role, StudyState
from tuner.search.decision.seeds import run_seed
from tuner.store import Store

WORKER = "w1"
ROLES = (Role.START, Role.INCUMBENT, None)
LOSSES = (0.9, 0.6, 0.5)


class World:
    """Moves that workers make."""

    def __init__(self, store: Store) -> None:
        self.store = store
        announce(store, WORKER, device="cpu", workloads=[DIGITS])

    def job(self, *, by: Actor = LOCAL_ACTOR, **changes: Any) -> JobRecord:
        """A queued job."""
        return self.store.jobs.submit(admit(REQUEST | changes, workloads=[DIGITS]), by=by)

    def started(self, job: JobRecord) -> StudyLock:
        """Start a job, with its three trials, one run queued for each."""
        lock = self._lock()
        self.store.planning.start_job(lock)
        for number, schedule in enumerate(SCHEDULES):
            self.store.planning.add_trial(
                lock,
                number=number,
                role=ROLES[number],
                configuration=Configuration(schedule=schedule),
                reason=f"trial {number}",
                run=_run(job, schedule=schedule),
            )
        self.store.planning.set_optuna_numbers(lock, numbers={number: number for number in range(len(SCHEDULES))})
        return lock

    def claim(self) -> LeasedRun:
        """The next run, leased for ten minutes."""
        lease = claim_run(self.store, offer(WORKER), lease_seconds=600)
        if lease is None:
            raise AssertionError("no run is queued")
        return lease

    def train(self, *, loss: float | None) -> LeasedRun:
        """Claim a run, evaluate it once, and end it."""
        lease = self.claim()
        point = CurvePoint(step=10, lr=0.1, train_loss=1.0, val_loss=0.9)
        self.store.leases.heartbeat(lease, points=[point], updates=10, lease_seconds=600)
        step = lease.total_steps if loss is not None else 20
        self.store.leases.finish(lease, loss=loss, step=step, updates=step - 10, reason="the loss is NaN")
        return lease

    def compared(self, job: JobRecord, *, lock: StudyLock) -> tuple[StudyRecord, StudyState]:
        """Store the job's best trial, as a planning step does, and return the study."""
        record = self.store.planning.load(job.id)
        state = study_state(record)
        self.store.planning.set_best(lock, best_trial(state))
        return record, state

    def completed(self, *, by: Actor = LOCAL_ACTOR, **changes: Any) -> JobRecord:
        """A job from its submission to its report: three trials, each trained on three seeds."""
        job = self.job(by=by, **changes)
        lock = self.started(job)
        for number, loss in enumerate(LOSSES):
            self.train(loss=loss)
            self.store.planning.close_trial(lock, number=number, state=TrialState.COMPLETED, reason="at the horizon")
        for number, schedule in enumerate(SCHEDULES):
            for place in (1, 2):
                run = _run(job, schedule=schedule, place=place)
                self.store.planning.add_run(lock, trial_number=number, run=run)
                self.train(loss=LOSSES[number] + place / 1000)
        record, state = self.compared(job, lock=lock)
        report = build_report(study_result(record, state=state, end_reason="all trials are done"))
        self.store.planning.complete_job(lock, report=report.model_dump(mode="json"))
        return self.store.jobs.get(job.id)

    def worked_off(self, job: JobRecord) -> JobRecord:
        """The job after a worker that plans and trains nothing: a run's loss is the distance of its peak from 0.1."""
        while (
            taken := self.store.queue.claim(offer(WORKER), lease_seconds=600, lock_seconds=600, job_id=job.id)
        ) is not None:
            if isinstance(taken, StudyLock):
                run_planning_step(self.store, lock=taken)
            else:
                loss = 0.3 + abs(taken.schedule.peak_lr - 0.1) + taken.seed % 7 / 1000
                self.store.leases.finish(taken, loss=loss, step=taken.total_steps, updates=taken.total_steps)
        return self.store.jobs.get(job.id)

    @property
    def offer(self) -> WorkerOffer:
        """The worker, as it claims."""
        return offer(WORKER)

    def _lock(self) -> StudyLock:
        lock = claim_lock(self.store, offer(WORKER), seconds=600)
        if lock is None:
            raise AssertionError("no planning is due")
        return lock


def _run(job: JobRecord, *, schedule: Schedule, place: int = 0) -> NewRun:
    settings = job.spec.search
    return NewRun(
        seed=run_seed(settings.seed, place=place),
        total_steps=settings.total_steps,
        schedule=schedule,
        reason=f"seed {place}",
    )
