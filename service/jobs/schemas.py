"""What the routes of jobs take and give, beyond the library's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tuner.jobs.records import JobRecord

SUBMIT_EXAMPLES: dict[str, Any] = {
    "short": {
        "summary": "Leave everything to the defaults",
        "value": {"workload": "digits-mlp"},
    },
    "full": {
        "summary": "A small search with options of the workload",
        "value": {
            "workload": "digits-mlp",
            "name": "first look",
            "priority": "high",
            "search": {"total_steps": 600, "trials": 12, "finalists": 2, "confirm_seeds": 3},
        },
    },
}


class CancelRequest(BaseModel):
    """Why a job is cancelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(
        default="cancelled through the API", min_length=1, max_length=500, description="Shown with the job."
    )


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """Some jobs, the newest first."""

    items: tuple[JobRecord, ...]
    next_cursor: str | None
    """Give it as ``cursor`` to get the jobs that follow; ``None`` on the last page."""
