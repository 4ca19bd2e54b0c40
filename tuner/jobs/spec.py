"""What a user asks for: a job, as it is sent, stored and frozen."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tuner.jobs.priority import Priority
from tuner.search.settings import SearchSettings

DEFAULT_TEAM = "default"
"""The team of jobs that name none, where nobody logs in."""
DEFAULT_LONGER = 3.0
"""Times the horizon, of the longer run that a report is asked about."""


class Resources(BaseModel):
    """What each run of a job needs of a worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["any", "cpu", "cuda"] = Field(default="any", description="Kind of device to train on.")
    devices: int = Field(default=1, ge=1, le=64, description="Devices that one run needs, all of one worker.")
    memory_gib: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Memory that each device must have, in GiB; any when absent. Of a CPU worker, the machine's.",
    )

    @property
    def memory_bytes(self) -> int | None:
        """Memory that each device must have, in bytes."""
        return None if self.memory_gib is None else math.ceil(self.memory_gib * 2**30)


class Limits(BaseModel):
    """Where a job stops by itself, enforced while its runs go on.

    At ``device_hours`` or ``wall_hours`` everything stops at once and the report is made from what is there. At
    ``target_loss`` or ``patience`` the search ends and its best are confirmed as usual. How many trials and updates a
    job may take is said in its search: ``trials`` and ``max_updates``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device_hours: float | None = Field(
        default=None, gt=0, le=1e7, description="Device time of all runs together, in hours; none when absent."
    )
    wall_hours: float | None = Field(
        default=None,
        gt=0,
        le=1e5,
        description="Time since the job was first planned, in hours; none when absent.",
    )
    target_loss: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="The search ends once a run at the full horizon reaches this validation loss.",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="The search ends once so many trials in a row have ended without a new best at the full horizon.",
    )


class JobSpec(BaseModel):
    """A request to find the schedule for one workload. Complete: every default is filled in when it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str = Field(min_length=1, max_length=200, description="Name of a workload that a worker offers.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="The workload's own options; those left out take its defaults."
    )
    name: str = Field(default="", max_length=200, description="What people call this job; free text.")
    notes: str = Field(default="", max_length=10_000, description="Anything worth remembering; Markdown.")
    team: str = Field(default=DEFAULT_TEAM, min_length=1, max_length=100, description="The team that it belongs to.")
    shared: bool = Field(default=False, description="Whether every team may look at it.")
    priority: Priority = Field(default=Priority.NORMAL, description="A higher class goes first.")
    resources: Resources = Field(default=Resources(), description="What each run needs of a worker.")
    limits: Limits = Field(default=Limits(), description="Where the job stops by itself.")
    longer: float = Field(
        default=DEFAULT_LONGER,
        gt=1.0,
        le=100.0,
        allow_inf_nan=False,
        description="The report also tells what of the answer holds for a run so many times as long as the horizon.",
    )
    search: SearchSettings = Field(description="Horizon, budget, rungs and space of the search.")
