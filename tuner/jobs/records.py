"""Frozen values that cross the border of the store: what a job, a trial, a run and their traces look like.

Times are seconds since 1970 UTC by the database's clock. Ids are UUIDs as text. Nothing here knows SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tuner.devices import Device, DeviceKind
from tuner.jobs.priority import Priority
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration, option_values
from tuner.search.space import OptimizerKind


class RunKind(StrEnum):
    """What a run is for."""

    RUNG = "rung"
    """A complete schedule compressed to the rung's updates; its loss is compared with its peers'."""
    CONFIRM = "confirm"
    """A finalist at the full horizon on a fresh seed."""
    AUDIT = "audit"
    """A pruned trial at the full horizon, with the search's seed: what pruning cost."""


class Level(StrEnum):
    """How much a workload tells about itself; the more, the cheaper its tuning."""

    DECLARED = "declared"
    STEPWISE = "stepwise"
    OPAQUE = "opaque"


@dataclass(frozen=True, kw_only=True)
class WorkloadInfo:
    """What a worker tells about a workload it offers. The service checks requests against it without importing code."""

    name: str
    version: str
    level: Level
    description: str
    options_schema: dict[str, Any]
    """JSON schema of the options (an object schema; every property has a default and a description)."""
    optimizer_option: str | None
    """Name of the option whose value is an `OptimizerKind`; ``None`` when the workload has one optimizer only."""
    optimizer: OptimizerKind
    """The optimizer used when no option says otherwise."""
    default_steps: int
    """A horizon that trains it to a sensible result, in updates."""
    peak_lr: dict[str, tuple[float, float]]
    """Range to search the peak learning rate in, per `OptimizerKind` value; empty for the general default."""
    metric: Metric = DEFAULT_METRIC
    """What its runs are judged by."""


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job as stored."""

    id: str
    state: JobState
    spec: JobSpec
    metric: Metric
    """What its runs are judged by, as the workload declared it when the job was submitted."""
    owner: str
    """The user who submitted it."""
    origin: str | None
    """Id of the job that it was cloned from."""
    created_at: float
    started_at: float | None
    finished_at: float | None
    error: str | None
    """Why it failed or who cancelled it."""
    updates_spent: int
    """Updates that runs of this job have executed and reported, repeated ones included."""
    updates_saved: int
    """Updates that its finished runs did not execute, because they went on from where another run had come."""
    device_seconds: float
    """Device time that its runs have taken: seconds under a lease times devices."""
    limit_reached: str | None
    """Which of its limits the job has reached, in words; it is then ended with what is there."""
    plan_due: bool
    """Whether planning might find something to do; cleared when it found nothing."""


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as stored: one configuration of the study."""

    id: str
    job_id: str
    number: int
    """0-based, without gaps, in the order of birth within the job."""
    optuna_number: int | None
    """In the Optuna study of the job; ``None`` until it was told of the trial, which is a little later."""
    cohort: int
    control: str | None
    """Group of controls that it belongs to (``"constant"``, ``"default"``, ...); ``None`` for the sampler's own."""
    state: TrialState
    schedule: Schedule
    """At the full horizon."""
    options: dict[str, Any]
    """Of the workload's options those that the job searches, with the trial's values."""
    reason: str
    """Why it was born, and, once it ended, why."""

    @property
    def configuration(self) -> Configuration:
        """What it tries."""
        return Configuration(schedule=self.schedule, options=option_values(self.options))


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run as stored."""

    id: str
    job_id: str
    trial_id: str
    trial_number: int
    kind: RunKind
    rung: int
    """Index of the rung for kind `RUNG`; the top rung's index for `CONFIRM` and `AUDIT`."""
    seed: int
    total_steps: int
    schedule: Schedule
    """What is trained: compressed to ``total_steps``."""
    state: RunState
    reason: str
    """Why the plan wanted it."""
    attempts: int
    worker: str | None
    step: int
    """Updates done from the start of its schedule, as last reported."""
    updates: int
    """Updates executed for it, as reported: those that a lost attempt made and a later one repeated count twice."""
    shared_updates: int
    """Updates of its schedule that it did not execute, because it went on from where another run had come; 0 until it
    has finished."""
    device_seconds: float
    """Device time that it has taken: seconds under a lease times devices, over all attempts."""
    metric: Metric
    """The job's."""
    loss: float | None
    """At the end, lower is better whatever the metric; ``None`` until then and for a diverged or failed run."""
    error: str | None
    stop_reason: str | None
    """Why its worker is told to stop at the next evaluation and give it back (pre-empted); ``None``: train on."""
    created_at: float
    queued_at: float
    """When it last came into the queue."""
    started_at: float | None
    finished_at: float | None

    @property
    def value(self) -> float | None:
        """The metric's value at the end, as people read it; ``None`` as for ``loss``."""
        return self.metric.value_or_none(self.loss)


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """A run that the plan wants, not yet stored."""

    kind: RunKind
    rung: int
    seed: int
    total_steps: int
    schedule: Schedule
    """Compressed to ``total_steps``."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """All that planning one job needs, read in one transaction."""

    job: JobRecord
    trials: tuple[TrialRecord, ...]
    """By number."""
    runs: tuple[RunRecord, ...]
    """In the order of creation."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One evaluation during a run, or its end."""

    step: int
    """Updates done when it was taken, in [0, total_steps]."""
    lr: float
    """Learning rate of the last update done (of the first one at step 0)."""
    train_loss: float | None
    """Mean training loss since the previous point; ``None`` at step 0."""
    val_loss: float
    """Of the metric: lower is better, whatever the metric (`tuner.metric`)."""


@dataclass(frozen=True, kw_only=True)
class SnapshotRef:
    """Where a run can be taken up again."""

    step: int
    path: str
    """Path on the worker's disk (or a disk that the workers share)."""


@dataclass(frozen=True, kw_only=True)
class LeasedRun:
    """A run in the hands of a worker: everything that training it needs, and the token that lets results in."""

    run_id: str
    job_id: str
    token: str
    attempt: int
    """1 for the first."""
    expires_at: float
    workload: str
    workload_version: str
    metric: Metric
    """The job's."""
    options: dict[str, Any]
    schedule: Schedule
    total_steps: int
    seed: int
    prefix_key: str | None
    """Key of the runs that are likely to begin alike (`tuner.search.stage_tree.prefix_key`); ``None`` for one that was
    planned before there were keys."""
    snapshot: SnapshotRef | None
    waited_seconds: float
    """How long it was in the queue."""


@dataclass(frozen=True, kw_only=True)
class SiblingRun:
    """A run that may begin like another one: of the same job and seed, waiting in the queue or likely to come."""

    schedule: Schedule
    """Compressed to ``total_steps``."""
    total_steps: int


@dataclass(frozen=True, kw_only=True)
class StudyLock:
    """The right to plan one job's study until a time."""

    job_id: str
    token: str
    expires_at: float


@dataclass(frozen=True, kw_only=True)
class LeaseStatus:
    """What a worker learns when it extends a lease."""

    expires_at: float
    stop: str | None
    """Why the run must stop at its next evaluation, with a snapshot, and be given back; ``None``: train on."""


@dataclass(frozen=True, kw_only=True)
class WorkerOffer:
    """What a worker can do: what it announces, and what work is matched with."""

    name: str
    device: str
    """As the worker calls it: ``"cpu"``, ``"cuda:1"``, ``"cuda:0,cuda:1"``."""
    device_kind: DeviceKind
    device_model: str
    """As the driver calls it; ``"cpu"`` for a CPU. Paces are kept apart by it."""
    devices: int
    """How many devices it has, at least 1; a run takes them all."""
    memory_bytes: int | None
    """Memory of each device (of the machine, for a CPU); ``None`` when unknown: no job that asks for some is taken."""
    workloads: dict[str, str]
    """Version by name."""

    @classmethod
    def of(cls, name: str, *, device: Device, workloads: Iterable[WorkloadInfo]) -> WorkerOffer:
        """What the worker of this name offers on a device."""
        return cls(
            name=name,
            device=device.name,
            device_kind=device.kind,
            device_model=device.model,
            devices=device.count,
            memory_bytes=device.memory_bytes,
            workloads={info.name: info.version for info in workloads},
        )


@dataclass(frozen=True, kw_only=True)
class WorkerRecord(WorkerOffer):
    """A worker as the database knows it."""

    reserved_for: str | None
    """The only team whose jobs it takes; ``None``: everybody's."""
    draining: bool
    """It ends the run that it has and takes no further one."""
    runs: tuple[str, ...]
    """Ids of the runs that it holds."""
    started_at: float
    heartbeat_at: float
    alive: bool
    """It has not left, and its heartbeat is younger than the worker time-out."""


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """Something that happened to a job, in the order of ``id``."""

    id: int
    job_id: str
    kind: str
    """Dotted: ``"job.completed"``, ``"trial.pruned"``, ``"run.started"``."""
    data: dict[str, Any]
    at: float


@dataclass(frozen=True, kw_only=True)
class LogChunk:
    """A chunk of what a run's code printed."""

    seq: int
    """Ascends from 0, with gaps: the middle of a long log is dropped."""
    attempt: int
    text: str
    at: float


@dataclass(frozen=True, kw_only=True)
class QueueEntry:
    """Where an open job stands in the queue, and why."""

    job_id: str
    name: str
    team: str
    owner: str
    priority: Priority
    state: JobState
    position: int | None
    """1 for the job whose turn is next; ``None`` when nothing of it waits for a device."""
    running_runs: int
    reason: str
    """In words: ``"behind 3 jobs of team vision; your team runs 4 of its 4"``."""
    waiting_seconds: float
    """Since it was submitted, or since its oldest ready run came into the queue."""


@dataclass(frozen=True, kw_only=True)
class TeamShare:
    """What a team has had of the devices, against its weight."""

    team: str
    weight: float
    device_seconds: float
    """In the window that the shares are counted over, with what its running runs are expected to take."""
    share: float
    """Of all teams' device time in the window, in [0, 1]."""
    running_runs: int
    open_jobs: int


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a workload trains on a kind of device, from what was measured."""

    workload: str
    version: str
    device_model: str
    seconds_per_update: float
    """Device time of one update, evaluations included."""
    updates: int
    """How many were measured."""
