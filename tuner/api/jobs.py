"""Wire types of jobs and trials: what ``/v1/jobs`` accepts and returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from tuner.api.views import view_of
from tuner.jobs.admission.pricing import Estimate
from tuner.jobs.forecasts import BestTrial
from tuner.jobs.priority import Priority
from tuner.jobs.progress import JobOverview, JobStatus, Progress, TrialLoss
from tuner.jobs.records import JobRecord, TrialRecord
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState, TrialState
from tuner.metric import Metric
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration, option_values
from tuner.search.decision.budget import Price, price
from tuner.search.decision.decisions import Role


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A job."""

    id: str
    state: JobState
    spec: JobSpec
    metric: Metric
    """The metric of its runs, as the workload declared it at submission."""
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
    """Updates that its runs have executed and reported, repeated ones included."""
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

    @classmethod
    def of(cls, job: JobRecord) -> Self:
        """The public part of a stored job."""
        return view_of(cls, job)


@dataclass(frozen=True, kw_only=True)
class JobDetail(JobView):
    """A job, its progress, and the upper bound of its cost."""

    progress: Progress
    price: Price
    links: dict[str, str]
    """Paths of its parts: ``events``, ``trials``, ``runs``, ``report``, ``export``, and ``dashboard``, which is the
    page of its study in the Optuna dashboard."""

    @classmethod
    def of_status(cls, status: JobStatus) -> Self:
        """The public part of a stored job and its progress."""
        job = status.job
        parts = ("events", "trials", "runs", "report", "export", "dashboard")
        links = {part: f"/v1/jobs/{job.id}/{part}" for part in parts}
        return view_of(cls, job, progress=status.progress, price=price(job.spec.search), links=links)


class JobListView(StrEnum):
    """How much of each job a list shows."""

    FULL = "full"
    """All that is stored of it, with its request."""
    SUMMARY = "summary"
    """Its progress and its result so far, without its request."""


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """One page of jobs."""

    items: tuple[JobView, ...]
    next_cursor: str | None
    """Pass it as ``cursor`` to get the next page; ``None`` on the last page."""


@dataclass(frozen=True, kw_only=True)
class JobSummary:
    """A job in a list: its progress and its result so far, without its request."""

    id: str
    name: str
    state: JobState
    workload: str
    team: str
    owner: str
    """The user who submitted it."""
    priority: Priority
    shared: bool
    metric: Metric
    total_steps: int
    """The horizon: updates of a full run."""
    budget: float
    """What it may cost, in full runs."""
    full_runs_spent: float
    """What its runs have spent of it so far."""
    fraction: float
    """Share of the budget that is spent, in [0, 1]; exactly 1 for a completed job."""
    seconds_left: float | None
    """As in `Progress`."""
    best: BestTrial | None
    """The trial that would be recommended now; of a completed job the recommended one."""
    finding: str | None
    """The first sentence of its report; ``None`` without one."""
    error: str | None
    """Why it failed or who cancelled it: the first line."""
    device_seconds: float
    """Device time of its runs: seconds under a lease times devices."""
    created_at: float
    started_at: float | None
    finished_at: float | None
    age_seconds: float
    """Since it was submitted, by the database's clock."""

    @classmethod
    def of(cls, overview: JobOverview) -> Self:
        """The public part of a stored job and its progress."""
        job, progress = overview.status.job, overview.status.progress
        spec = job.spec
        return cls(
            id=job.id,
            name=spec.name,
            state=job.state,
            workload=spec.workload,
            team=spec.team,
            owner=job.owner,
            priority=spec.priority,
            shared=spec.shared,
            metric=job.metric,
            total_steps=spec.search.total_steps,
            budget=progress.budget,
            full_runs_spent=progress.full_runs_spent,
            fraction=progress.fraction,
            seconds_left=progress.seconds_left,
            best=progress.best,
            finding=overview.finding,
            error=None if job.error is None else job.error.partition("\n")[0],
            device_seconds=job.device_seconds,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            age_seconds=overview.age_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class JobSummaryPage:
    """One page of jobs without their requests."""

    items: tuple[JobSummary, ...]
    next_cursor: str | None
    """Pass it as ``cursor`` to get the next page; ``None`` on the last page."""


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """A trial: one configuration of the job's study."""

    id: str
    job_id: str
    number: int
    """0-based, without gaps, in the order of creation within the job."""
    role: Role | None
    """Why it is not the sampler's choice; ``None`` where it is."""
    state: TrialState
    schedule: Schedule
    """At the full horizon."""
    options: dict[str, Any]
    """The trial's values of the options that the job searches."""
    label: str
    """Its schedule and searched options in words."""
    losses: tuple[TrialLoss, ...]
    """Of its runs that have ended with a result, the first run first."""
    reason: str
    """Why it was created."""
    end_reason: str | None
    """Why it ended; ``None`` until then."""

    @classmethod
    def of(cls, trial: TrialRecord, *, losses: tuple[TrialLoss, ...]) -> Self:
        """The public part of a stored trial."""
        return view_of(cls, trial, label=trial.configuration.label, losses=losses)

    @property
    def configuration(self) -> Configuration:
        """The schedule with the searched options."""
        return Configuration(schedule=self.schedule, options=option_values(self.options))


@dataclass(frozen=True, kw_only=True)
class TrialPage:
    """One page of a job's trials, by number."""

    items: tuple[TrialView, ...]
    next_cursor: str | None
    """Pass it as ``cursor`` to get the next page; ``None`` on the last page."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A reason for which the service would refuse a job."""

    field: str | None
    """Dotted name of the refused field; ``None`` for a limit."""
    limit: str | None
    """Name of the limit of the team or user; ``None`` for a field."""
    message: str


@dataclass(frozen=True, kw_only=True)
class JobPreview:
    """Validation errors, cost and queue position of a job that is not submitted."""

    spec: JobSpec | None
    """The job with every default filled in; ``None`` when the request itself would be refused."""
    estimate: Estimate | None
    """The most that it can cost, what is compared for that, and the device time on the devices on which the workload
    was measured; ``None`` without a spec."""
    refusals: tuple[Refusal, ...]
    """Why it would be refused; empty when it would be accepted."""
    jobs_ahead: int
    """Number of waiting jobs that would run before it."""
    would_wait: str | None
    """Why it would wait for more than a free worker: no worker that is alive can train it, or a limit of its team is
    reached; ``None`` where nothing is in its way. Such a job is accepted all the same."""


class CancelRequest(BaseModel):
    """Why a job is cancelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(
        default="cancelled through the API", min_length=1, max_length=500, description="Shown with the job."
    )


class CloneRequest(BaseModel):
    """How the new job differs from the cloned one. Absent fields are copied; ``null`` stands for the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str | None = Field(default=None, min_length=1, max_length=200, description="As in a request.")
    options: dict[str, Any] | None = Field(default=None, description="Those of the workload's options that differ.")
    name: str | None = Field(default=None, max_length=200, description="As in a request.")
    notes: str | None = Field(default=None, max_length=10_000, description="As in a request.")
    team: str | None = Field(
        default=None, min_length=1, max_length=100, description="The team of the new job; your own team when absent."
    )
    shared: bool | None = Field(
        default=None, description="Whether every team may read the new job; false when absent, also for a shared job."
    )
    priority: Priority | None = Field(default=None, description="As in a request.")
    longer: float | None = Field(default=None, gt=1.0, le=100.0, allow_inf_nan=False, description="As in a request.")
    resources: dict[str, Any] | None = Field(default=None, description="Those of the resources that differ.")
    limits: dict[str, Any] | None = Field(default=None, description="Those of the limits that differ.")
    search: dict[str, Any] | None = Field(
        default=None,
        description="Those of the search settings that differ. A `space` replaces the whole old one; `null` selects "
        "the default space of the optimizer. The seed is a new one unless it is among them.",
    )
