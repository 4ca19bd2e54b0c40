"""Records of the store: frozen values for jobs, trials, runs, workers, events and the queue.

Times are seconds since 1970 UTC by the database's clock. Ids are UUIDs as text. Nothing here knows SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tuner.devices import Device, DeviceKind
from tuner.jobs.forecasts import BestTrial, ForecastRecord
from tuner.jobs.priority import Priority
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration, option_values
from tuner.search.decision.decisions import Alternative, Role
from tuner.search.range_test.result import SweepCurve
from tuner.search.space import OptimizerKind, TrainingKind


class Level(StrEnum):
    """How much of its training a workload exposes; the more, the cheaper its tuning."""

    DECLARED = "declared"
    STEPWISE = "stepwise"
    OPAQUE = "opaque"


@dataclass(frozen=True, kw_only=True)
class WorkloadInfo:
    """What a worker announces about a workload. The service validates requests against it without importing code."""

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
    training: TrainingKind = TrainingKind.SCRATCH
    """The kind of training, for the range of peaks where it has none of its own."""
    metric: Metric = DEFAULT_METRIC
    """What its runs are judged by."""
    needs_lrs: bool = False
    """Whether its code reads the rates of all updates before it trains: no schedule may then follow the loss."""


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
    """Updates that its finished runs did not execute, because they continued from a snapshot of another run."""
    device_seconds: float
    """Device time of its runs: seconds under a lease times devices."""
    failed_attempts: int
    """Attempts of its runs that ended because the workload's code failed or their runner died of it."""
    lost_attempts: int
    """Attempts of its runs that ended because the infrastructure was lost: machine, network, database, worker."""
    limit_reached: str | None
    """Which of its limits the job has reached, in words; it then ends with the results so far."""
    best: BestTrial | None
    """As of the last planning step; ``None`` until a run has finished."""
    plan_due: bool
    """Whether the planner may find work; cleared when it found none."""


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as stored: one configuration of the study."""

    id: str
    job_id: str
    number: int
    """0-based, without gaps, in the order of creation within the job; -1 for that of an LR range test."""
    optuna_number: int | None
    """Its number in the job's Optuna study; ``None`` until the trial is added there, shortly after its creation."""
    role: Role | None
    """``None``: the sampler chose it."""
    state: TrialState
    schedule: Schedule
    """At the full horizon."""
    options: dict[str, Any]
    """The trial's values of the options that the job searches."""
    reason: str
    """Why it was created."""
    end_reason: str | None
    """Why it ended; ``None`` until then."""

    @property
    def reasons(self) -> str:
        """Why it was created, and, once it has ended, why it ended."""
        return "; ".join(part for part in (self.reason, self.end_reason) if part)

    @property
    def configuration(self) -> Configuration:
        """The schedule with the searched options."""
        return Configuration(schedule=self.schedule, options=option_values(self.options))


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run as stored."""

    id: str
    job_id: str
    trial_id: str
    trial_number: int
    seed: int
    total_steps: int
    """The horizon; fewer for some runs of a job of an earlier version."""
    schedule: Schedule
    state: RunState
    reason: str
    """Why the plan created it."""
    alternatives: tuple[Alternative, ...]
    """What the plan considered beside it, by value."""
    attempts: int
    """How often a worker has leased it."""
    failed_attempts: int
    """Those that ended because the workload's code failed or its runner died of it."""
    lost_attempts: int
    """Those that ended because the infrastructure was lost: machine, network, database, worker."""
    worker: str | None
    step: int
    """Updates done from the start of its schedule, as last reported."""
    updates: int
    """Updates executed for it, as reported: those that a lost attempt made and a later one repeated count twice."""
    shared_updates: int
    """Updates of its schedule that it did not execute, because it continued from a snapshot of another run; 0 until it
    has finished."""
    device_seconds: float
    """Device time of all attempts: seconds under a lease times devices."""
    metric: Metric
    """The job's."""
    loss: float | None
    """At the end, lower is better whatever the metric; ``None`` until then and for a run that diverged, was stopped
    early or failed."""
    error: str | None
    """Why it diverged, was stopped early or failed."""
    stop_reason: str | None
    """Why its worker must stop it at the next evaluation and release it (pre-empted); ``None``: continue."""
    created_at: float
    queued_at: float
    """When it last entered the queue."""
    started_at: float | None
    finished_at: float | None

    @property
    def value(self) -> float | None:
        """The metric's value at the end, as people read it; ``None`` as for ``loss``."""
        return self.metric.value_or_none(self.loss)


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """A planned run that is not stored yet."""

    seed: int
    total_steps: int
    schedule: Schedule
    reason: str
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """All that planning one job needs, read in one transaction."""

    job: JobRecord
    trials: tuple[TrialRecord, ...]
    """By number."""
    runs: tuple[RunRecord, ...]
    """In the order of creation."""
    stops: Mapping[str, ForecastRecord]
    """By run id: the last forecast that left a run too small a chance, whether it was stopped then or audited."""
    sweeps: tuple[SweepCurve, ...] = ()
    """The curves of the runs of its LR range test that have ended."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One evaluation during a run, or its end."""

    step: int
    """Updates done at the evaluation, in [0, total_steps]."""
    lr: float
    """Learning rate of the last update done (of the first one at step 0)."""
    train_loss: float | None
    """Mean training loss since the previous point; ``None`` at step 0."""
    val_loss: float
    """Of the metric: lower is better, whatever the metric (`tuner.metric`)."""


@dataclass(frozen=True, kw_only=True)
class SnapshotRef:
    """A snapshot from which a run can resume."""

    step: int
    path: str
    """Path on the worker's disk (or a disk that the workers share)."""


@dataclass(frozen=True, kw_only=True)
class LeasedRun:
    """A run that a worker holds: everything that training it needs, and the lease's token for writing results."""

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
    """Key of the runs that are likely to share a prefix (`tuner.search.stage_tree.prefix_key`); ``None`` for a run
    whose rates follow its loss, and for one that was planned before keys existed."""
    snapshot: SnapshotRef | None
    waited_seconds: float
    """How long it was in the queue."""
    evaluations: int | None = None
    """How often it is evaluated; ``None``: as usual for its length."""


@dataclass(frozen=True, kw_only=True)
class SiblingRun:
    """A run that may share a prefix with another: of the same job and seed, queued or likely to be planned."""

    schedule: Schedule
    total_steps: int


@dataclass(frozen=True, kw_only=True)
class StudyLock:
    """The right to plan one job's study until a time."""

    job_id: str
    token: str
    expires_at: float


@dataclass(frozen=True, kw_only=True)
class LeaseStatus:
    """The result of extending a lease."""

    expires_at: float
    stop: str | None
    """Why the run must stop at its next evaluation, with a snapshot, and be released; ``None``: continue."""


@dataclass(frozen=True, kw_only=True)
class WorkerOffer:
    """The device and workloads of a worker, which the scheduler matches with runs."""

    name: str
    device: str
    """The worker's name for it: ``"cpu"``, ``"cuda:1"``, ``"cuda:0,cuda:1"``."""
    device_kind: DeviceKind
    device_model: str
    """The driver's name for it; ``"cpu"`` for a CPU. Paces are measured per model."""
    devices: int
    """Number of devices, at least 1; a run uses all of them."""
    memory_bytes: int | None
    """Memory of each device (of the machine, for a CPU); ``None`` when unknown: jobs that require some do not match."""
    workloads: dict[str, str]
    """Version by name."""

    @classmethod
    def of(cls, name: str, *, device: Device, workloads: Iterable[WorkloadInfo]) -> WorkerOffer:
        """The offer of a worker with a device."""
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
    """A worker as stored."""

    reserved_for: str | None
    """The only team whose jobs it runs; ``None``: every team's."""
    draining: bool
    """Whether it finishes its current run and claims no further one."""
    runs: tuple[str, ...]
    """Ids of the runs that it holds."""
    started_at: float
    heartbeat_at: float
    alive: bool
    """Whether it has not ended and its heartbeat is younger than the worker timeout."""


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """An event of a job, in the order of ``id``."""

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
    """The queue position of an open job, and the reason for it."""

    job_id: str
    name: str
    team: str
    owner: str
    priority: Priority
    state: JobState
    position: int | None
    """1 for the next job; ``None`` when none of its runs waits for a device."""
    running_runs: int
    reason: str
    """In words: ``"behind 3 jobs of team vision; your team runs 4 of its 4"``."""
    waiting_seconds: float
    """Since it was submitted, or since its oldest ready run entered the queue."""


@dataclass(frozen=True, kw_only=True)
class TeamShare:
    """A team's fair share: its device time and its weight."""

    team: str
    weight: float
    device_seconds: float
    """Within the window of the fair share, including the expected time of its running runs."""
    share: float
    """Of all teams' device time in the window, in [0, 1]."""
    running_runs: int
    open_jobs: int


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The measured speed of a workload on a device model."""

    workload: str
    version: str
    device_model: str
    seconds_per_update: float
    """Device time of one update, evaluations included."""
    updates: int
    """Number of measured updates."""
