"""Wire types of the queue and the workers: what ``/v1/queue`` returns and ``/v1/workers`` accepts."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from tuner.jobs.records import QueueEntry


@dataclass(frozen=True, kw_only=True)
class QueueView:
    """The open jobs that the caller may see, in queue order."""

    items: tuple[QueueEntry, ...]


class WorkerChange(BaseModel):
    """Changes to a worker. Absent fields stay as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    draining: bool | None = Field(
        default=None, description="Whether it finishes its current run and claims no further one."
    )
    reserved_for: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="The only team whose jobs it runs; `null`: every team's.",
    )
