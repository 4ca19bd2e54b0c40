"""Small values to fill a store with, and the moves that tests make often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tuner.devices import Device, DeviceKind
from tuner.errors import LeaseLost, StudyLockLost
from tuner.jobs.forecasts import ForecastRecord
from tuner.jobs.records import CurvePoint, JobRecord, LeasedRun, Level, NewRun, StudyLock, WorkerOffer, WorkloadInfo
from tuner.jobs.spec import JobSpec
from tuner.people.permissions import LOCAL_ACTOR, Actor
from tuner.schedules import Cosine, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, default_space
from tuner.store import Store

OFFER = WorkloadInfo(
    name="digits-mlp",
    version="1",
    level=Level.DECLARED,
    description="Handwritten digits.",
    options_schema={"type": "object", "properties": {"width": {"type": "integer", "default": 64}}},
    optimizer_option=None,
    optimizer=OptimizerKind.SGD,
    default_steps=900,
    peak_lr={"sgd": (0.001, 1.0)},
)
WORKLOADS = {"digits-mlp": "1"}
STEPS = 90


def spec(**changes: Any) -> JobSpec:
    search = SearchSettings(total_steps=STEPS, space=default_space(OptimizerKind.SGD))
    return JobSpec(**{"workload": "digits-mlp", "options": {"width": 64}, "name": "a job", "search": search} | changes)


def offer(
    name: str = "w1",
    *,
    workloads: Mapping[str, str] = WORKLOADS,
    kind: DeviceKind = DeviceKind.CPU,
    devices: int = 1,
    memory_bytes: int | None = None,
) -> WorkerOffer:
    """What a worker can do."""
    return WorkerOffer(
        name=name,
        device=kind.value,
        device_kind=kind,
        device_model=kind.value,
        devices=devices,
        memory_bytes=memory_bytes,
        workloads=dict(workloads),
    )


def claim_run(store: Store, asked: WorkerOffer, *, lease_seconds: float = 60.0) -> LeasedRun | None:
    """The next run for a worker. Planning that comes before it is put off, and due again afterwards."""
    put_off: list[StudyLock] = []
    try:
        while True:
            taken = store.queue.claim(asked, lease_seconds=lease_seconds, lock_seconds=60.0)
            if not isinstance(taken, StudyLock):
                return taken
            put_off.append(taken)
    finally:
        for lock in put_off:
            with suppress(StudyLockLost):  # taken away meanwhile, by a test that does such things at once
                store.planning.release(lock, again=True)


def claim_lock(store: Store, asked: WorkerOffer, *, seconds: float = 60.0) -> StudyLock | None:
    """The next study lock for a worker. Runs that come before it are given back, in their old place."""
    put_off: list[LeasedRun] = []
    try:
        while True:
            taken = store.queue.claim(asked, lease_seconds=60.0, lock_seconds=seconds)
            if not isinstance(taken, LeasedRun):
                return taken
            put_off.append(taken)
    finally:
        for lease in put_off:
            with suppress(LeaseLost):
                store.leases.release(lease)


def announce(store: Store, name: str, *, device: str = "cpu", workloads: Sequence[WorkloadInfo] = (OFFER,)) -> None:
    """Have a worker say what it offers."""
    kind = DeviceKind.CUDA if device.startswith("cuda") else DeviceKind.CPU
    served = Device(name=device, torch_name=device, kind=kind, model=kind.value)
    store.workers.announce(WorkerOffer.of(name, device=served, workloads=workloads), workloads=workloads)


def schedule(peak_lr: float = 0.1) -> Schedule:
    return Schedule(peak_lr=peak_lr, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.05))


def new_run(**changes: Any) -> NewRun:
    values: dict[str, Any] = {
        "seed": 7,
        "total_steps": STEPS,
        "schedule": schedule(),
        "reason": "the first run",
    }
    return NewRun(**values | changes)


def point(step: int, *, val_loss: float = 0.5, train_loss: float | None = 0.6) -> CurvePoint:
    return CurvePoint(step=step, lr=0.05, train_loss=train_loss, val_loss=val_loss)


def forecast(step: int, **changes: Any) -> ForecastRecord:
    """A forecast that stops a run, unless it is changed."""
    values: dict[str, Any] = {
        **{"step": step, "mean": 0.9, "std": 0.05, "low": 0.8, "high": 1.0, "chance": 1e-4},
        **{"leader_mean": 0.4, "leader_std": 0.01, "margin": 0.02, "stop": True, "audited": False},
    }
    return ForecastRecord(**values | changes)


@dataclass(frozen=True)
class Bench:
    """Common moves on a store."""

    store: Store

    def lock(self, worker: str = "w1", *, seconds: float = 60.0) -> StudyLock:
        lock = claim_lock(self.store, offer(worker), seconds=seconds)
        if lock is None:
            raise AssertionError("no planning is due")
        return lock

    def add_trial(self, lock: StudyLock, number: int, /, **changes: Any) -> None:
        values: dict[str, Any] = {
            "number": number,
            "role": None,
            "configuration": Configuration(schedule=schedule()),
            "reason": f"trial {number}",
            "run": new_run(),
        }
        self.store.planning.add_trial(lock, **values | changes)

    def running_job(self, *, runs: int = 1, **changes: Any) -> JobRecord:
        """A job with so many trials, the first run of each queued, and planning not due."""
        job = self.store.jobs.submit(spec(**changes))
        lock = self.lock()
        if lock.job_id != job.id:
            raise AssertionError("planning of another job was due")
        self.store.planning.start_job(lock)
        for number in range(runs):
            self.add_trial(lock, number)
        self.store.planning.release(lock, again=False)
        return self.store.jobs.get(job.id)

    def ready_job(self, *, runs: int = 1, by: str = LOCAL_ACTOR.user, **changes: Any) -> JobRecord:
        """A running job of somebody, with so many ready runs and planning not due, whatever else is in the queue."""
        job = self.store.jobs.submit(spec(**changes), by=Actor(user=by))
        needs = job.spec.resources
        asked = offer(
            "planner",
            kind=DeviceKind.CUDA if needs.device == "cuda" else DeviceKind.CPU,
            devices=needs.devices,
            memory_bytes=needs.memory_bytes,
        )
        lock = self.store.queue.claim(asked, lease_seconds=60.0, lock_seconds=60.0, job_id=job.id)
        if not isinstance(lock, StudyLock):
            raise AssertionError("planning of the job is not due")
        self.store.planning.start_job(lock)
        for number in range(runs):
            self.add_trial(lock, number)
        self.store.planning.release(lock, again=False)
        return self.store.jobs.get(job.id)

    def claim(self, worker: str = "w1", *, lease_seconds: float = 60.0) -> LeasedRun:
        lease = claim_run(self.store, offer(worker), lease_seconds=lease_seconds)
        if lease is None:
            raise AssertionError("no run is ready")
        return lease

    def nothing_to_claim(self) -> bool:
        return claim_run(self.store, offer()) is None

    def kinds(self, job_id: str) -> list[str]:
        """What has been told of a job, in order."""
        return [event.kind for event in self.store.events.after(0, job_id=job_id)]
