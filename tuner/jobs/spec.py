"""The request of a job, as it is sent and stored."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tuner.jobs.priority import Priority
from tuner.search.settings import SearchSettings

DEFAULT_TEAM = "default"
"""The team of jobs without a team, where no login is required."""
DEFAULT_LONGER = 3.0
"""Length of the longer run that a report predicts for, in multiples of the horizon."""


class Resources(BaseModel):
    """The requirements of a job's runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["any", "cpu", "cuda"] = Field(default="any", description="Kind of device to train on.")
    devices: int = Field(default=1, ge=1, le=64, description="Devices that one run needs, all of one worker.")
    memory_gib: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Memory that each device must have, in GiB; for a CPU worker, the machine's.",
    )

    @property
    def memory_bytes(self) -> int | None:
        """Memory that each device must have, in bytes."""
        return None if self.memory_gib is None else math.ceil(self.memory_gib * 2**30)


class Limits(BaseModel):
    """The limits of a job, enforced while its runs train.

    At ``device_hours`` or ``wall_hours`` all runs stop, and the report is built from the results so far. At
    ``target`` or ``patience`` no more schedules are tried: further seeds of the known ones decide which is best. The
    search's settings limit the cost and the schedules: ``budget`` and ``trials``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device_hours: float | None = Field(
        default=None, gt=0, le=1e7, description="Device time summed over all runs, in hours; no limit when absent."
    )
    wall_hours: float | None = Field(
        default=None,
        gt=0,
        le=1e5,
        description="Time since the job was first planned, in hours; no limit when absent.",
    )
    target: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="No more schedules are tried once one has reached this value of the workload's metric, or a better "
        "one, at the full horizon.",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="No more schedules are tried after this many trials in a row without a new best at the horizon.",
    )


class JobSpec(BaseModel):
    """A request to find the schedule for one workload, with every default filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str = Field(min_length=1, max_length=200, description="Name of a workload that a worker offers.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="The workload's options; absent ones take its defaults."
    )
    name: str = Field(default="", max_length=200, description="A name for the job; free text.")
    notes: str = Field(default="", max_length=10_000, description="Anything worth remembering; Markdown.")
    team: str = Field(default=DEFAULT_TEAM, min_length=1, max_length=100, description="The team of the job.")
    shared: bool = Field(default=False, description="Whether all teams may see the job.")
    priority: Priority = Field(default=Priority.NORMAL, description="A higher class is scheduled first.")
    resources: Resources = Field(default=Resources(), description="The requirements of each run.")
    limits: Limits = Field(default=Limits(), description="Limits at which the job stops.")
    longer: float = Field(
        default=DEFAULT_LONGER,
        gt=1.0,
        le=100.0,
        allow_inf_nan=False,
        description="The report also predicts for a run this many times as long as the horizon.",
    )
    search: SearchSettings = Field(description="Horizon, budget and space of the search.")
