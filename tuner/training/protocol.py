"""The messages between a worker and its runner: one JSON object a line, each a frozen value of this module.

The runner is the child process that imports the user's code and trains. It writes messages to one pipe and reads from
another; its standard output and error belong to the user's code. It has no database and no credentials.

    worker                     runner
      |  <------- Hello           | once, after import: what it offers
      |  Train ------------->     |
      |  <------- Branched        | at most once, before all else; not answered
      |  <------- Evaluated       | any number; each is answered by a Directive
      |  Directive ----------->     |
      |  <------- Updated         | a second apart at least, while updates are made; not answered
      |  <------- SnapshotSaved   | not answered
      |  <------- Ended           | once per Train; the runner is then ready for the next Train
      |  (closes the pipe)        | the runner exits

Each message about a run has the number of updates executed since the last one, so a run that is cut off has reported
all updates that led to its last snapshot. Updates of a shared prefix that another run executed are not among them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from tuner.jobs.records import CurvePoint, SnapshotRef, WorkloadInfo
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Schedule
from tuner.text import escaped_text

PROTOCOL_VERSION = 6

Text = Annotated[str, AfterValidator(escaped_text)]
"""What the user's code wrote: anything."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hello(_Message):
    """The runner is up."""

    type: Literal["hello"] = "hello"
    protocol: int = PROTOCOL_VERSION
    pid: int
    device: str
    """As torch names it: ``"cpu"``, ``"cuda:0"``."""
    workloads: tuple[WorkloadInfo, ...]
    refused: tuple[Text, ...] = ()
    """Of installed packages that offer workloads which cannot be used: which, and why."""


class Train(_Message):
    """Train this run."""

    type: Literal["train"] = "train"
    run_id: str
    workload: str
    options: dict[str, Any]
    schedule: Schedule
    total_steps: int = Field(ge=1)
    seed: int = Field(ge=0)
    evaluations: int | None = Field(default=None, ge=1)
    """How often it is evaluated, evenly spread; ``None``: as usual for its length."""
    metric: Metric = DEFAULT_METRIC
    """The metric that the job was submitted for: what the run's losses stand for."""
    snapshot_dir: str
    """A folder that belongs to this attempt alone; made when needed."""
    snapshot_seconds: float = Field(gt=0)
    """The least time between two snapshots."""
    resume: SnapshotRef | None = None
    branch_points: tuple[int, ...] = ()
    """After how many updates other runs are likely to leave this one, ascending: its state there is worth keeping."""


class Branched(_Message):
    """The run goes on from where another one had come, whose learning rates were the same until there."""

    type: Literal["branched"] = "branched"
    run_id: str
    step: int = Field(ge=1)
    """Updates done from the start of the schedule."""
    points: tuple[CurvePoint, ...]
    """The evaluations until there, by the other run. Of a run of another length they stand at other updates."""


class Evaluated(_Message):
    """An evaluation; the runner waits for the directive before the next update."""

    type: Literal["evaluated"] = "evaluated"
    run_id: str
    point: CurvePoint
    updates: int = Field(ge=0)
    """Updates executed since the last message of this run."""
    final: bool = False
    """Whether it is the result of a training that ends early by its own rule: nothing stops it any more."""


class Directive(_Message):
    """What to do after an evaluation."""

    type: Literal["directive"] = "directive"
    stop: bool = False
    snapshot: bool = False
    """Write a snapshot before stopping, so that the run can be resumed."""
    branch_points: tuple[int, ...] = ()
    """Further ones, of runs that were planned since the run began; those that it has passed are passed over."""


class Updated(_Message):
    """An update was made: the run is not stuck. Counts nothing, as the next message that does counts its updates."""

    type: Literal["updated"] = "updated"
    run_id: str
    step: int = Field(ge=1)
    """Updates done from the start of the schedule."""


class SnapshotSaved(_Message):
    """A snapshot is on disk, whole."""

    type: Literal["snapshot"] = "snapshot"
    run_id: str
    snapshot: SnapshotRef
    updates: int = Field(ge=0)
    """Updates executed since the last message of this run."""


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    DIVERGED = "diverged"
    STOPPED = "stopped"
    """By a directive."""
    FAILED = "failed"
    """By an exception of the user's code."""


class Ended(_Message):
    """The run is over; nothing more comes about it."""

    type: Literal["ended"] = "ended"
    run_id: str
    outcome: Outcome
    step: int
    """Updates done from the start of the schedule; of a run that has `SUCCEEDED` fewer than its length where its
    training ended early by its own rule."""
    updates: int = Field(ge=0)
    """Updates executed since the last message of this run."""
    shared_updates: int = Field(default=0, ge=0)
    """Updates of the ``step`` that were never executed for this run, because another one had made them."""
    loss: float | None = None
    """At the end, lower is better whatever the metric; for `SUCCEEDED` alone."""
    lost: bool = False
    """For `FAILED`: whether the machine failed the run (its disk is full, read-only or gone), and not its code."""
    reason: Text = ""
    """For `DIVERGED` and `FAILED`: one line."""
    hint: Text = ""
    """For `FAILED`: what to do about it, where that is known."""
    traceback: Text = ""
    """For `FAILED`: the traceback, as `tuner.training.runner.tracebacks` cuts it."""
    leftovers: Text = ""
    """What the run left in the process that may disturb later runs: none should follow in it."""


FromRunner = Annotated[Hello | Branched | Evaluated | Updated | SnapshotSaved | Ended, Field(discriminator="type")]
ToRunner = Annotated[Train | Directive, Field(discriminator="type")]

from_runner: TypeAdapter[FromRunner] = TypeAdapter(FromRunner)
to_runner: TypeAdapter[ToRunner] = TypeAdapter(ToRunner)
