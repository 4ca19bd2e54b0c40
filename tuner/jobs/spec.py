"""What a user asks for: a job, as it is sent, stored and frozen."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tuner.search.settings import SearchSettings


class JobSpec(BaseModel):
    """A request to find the schedule for one workload. Complete: every default is filled in when it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str = Field(min_length=1, max_length=200, description="Name of a workload that a worker offers.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="The workload's own options; those left out take its defaults."
    )
    name: str = Field(default="", max_length=200, description="What people call this job; free text.")
    team: str = Field(default="default", min_length=1, max_length=100, description="The team that the job belongs to.")
    priority: int = Field(default=0, ge=-100, le=100, description="Higher goes first; equal ones in order of arrival.")
    search: SearchSettings = Field(description="Horizon, budget, rungs and space of the search.")
