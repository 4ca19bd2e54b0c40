"""What the routes of jobs take and give, beyond the library's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header, Query
from pydantic import BaseModel, ConfigDict, Field

from tuner.jobs.admission.pricing import Estimate
from tuner.jobs.priority import Priority
from tuner.jobs.records import JobRecord, RunRecord, TrialRecord
from tuner.jobs.spec import JobSpec
from tuner.search.decision.rungs import Price
from tuner_service.examples import NULL

SUBMIT_EXAMPLES: dict[str, Any] = {
    "short": {
        "summary": "Leave everything to the defaults",
        "value": {"workload": "digits-mlp"},
    },
    "full": {
        "summary": "A small search with options of the workload, and limits",
        "value": {
            "workload": "digits-mlp",
            "name": "first look",
            "notes": "Before the move to the larger data set.",
            "priority": "normal",
            "limits": {"device_hours": 2, "patience": 20},
            "search": {"total_steps": 600, "trials": 12, "finalists": 2, "confirm_seeds": 3},
        },
    },
}
CHANGE_EXAMPLES: dict[str, Any] = {
    "budget": {"summary": "More trials, and no limit of updates", "value": {"trials": 40, "max_updates": NULL}},
    "words": {"summary": "Another name, seen by every team", "value": {"name": "second look", "shared": True}},
}
CLONE_EXAMPLES: dict[str, Any] = {
    "same": {"summary": "The same once more", "value": {}},
    "longer": {
        "summary": "With a longer horizon and the workload's default space",
        "value": {"name": "longer", "search": {"total_steps": 1200, "space": NULL}},
    },
}
CANCEL_EXAMPLES: dict[str, Any] = {"reason": {"summary": "With a reason", "value": {"reason": "wrong data"}}}

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own. The same key with the same body gives the same job, however often it is "
        "sent: so a submission whose answer was lost can be sent again.",
        examples=["first-look-1"],
    ),
]
Cursor = Annotated[
    str | None,
    Query(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$", description="`next_cursor` of the page before."),
]


class CancelRequest(BaseModel):
    """Why a job is cancelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(
        default="cancelled through the API", min_length=1, max_length=500, description="Shown with the job."
    )


class CloneRequest(BaseModel):
    """What is to differ from the job that is cloned. What is left out is as there; ``null`` stands for the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str | None = Field(default=None, min_length=1, max_length=200, description="As in a request.")
    options: dict[str, Any] | None = Field(default=None, description="Those of the workload's options that differ.")
    name: str | None = Field(default=None, max_length=200, description="As in a request.")
    notes: str | None = Field(default=None, max_length=10_000, description="As in a request.")
    team: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="The team of the new job; that of whoever clones it when absent.",
    )
    shared: bool | None = Field(default=None, description="Whether every team may look at the new job; not by itself.")
    priority: Priority | None = Field(default=None, description="As in a request.")
    longer: float | None = Field(default=None, gt=1.0, le=100.0, allow_inf_nan=False, description="As in a request.")
    resources: dict[str, Any] | None = Field(default=None, description="Those of the resources that differ.")
    limits: dict[str, Any] | None = Field(default=None, description="Those of the limits that differ.")
    search: dict[str, Any] | None = Field(
        default=None,
        description="Those of the search settings that differ. A `space` takes the place of the whole old one; with "
        "`null` the default space of the optimizer is taken.",
    )


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """Some jobs, the newest first."""

    items: tuple[JobRecord, ...]
    next_cursor: str | None
    """Give it as ``cursor`` to get the jobs that follow; ``None`` on the last page."""


@dataclass(frozen=True, kw_only=True)
class TrialPage:
    """Some trials of a job, by number."""

    items: tuple[TrialRecord, ...]
    next_cursor: str | None
    """Give it as ``cursor`` to get those that follow; ``None`` on the last page."""


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """Some runs of a job, in the order in which they were planned."""

    items: tuple[RunRecord, ...]
    next_cursor: str | None
    """Give it as ``cursor`` to get those that follow; ``None`` on the last page."""


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Something for which the job would be refused."""

    field: str | None
    """What of the request it is, dotted; ``None`` when it is a limit."""
    limit: str | None
    """Which limit of the team or of the user it is; ``None`` when it is the request itself."""
    message: str


@dataclass(frozen=True, kw_only=True)
class JobPreview:
    """What a job would be and cost, were it submitted now."""

    spec: JobSpec | None
    """The job with every default filled in; ``None`` when the request itself would be refused."""
    price: Price | None
    """Runs and updates at most; ``None`` without a spec."""
    estimate: Estimate | None
    """Runs of each rung times their updates, and the device time that they take on the devices on which the workload
    was measured; ``None`` without a spec."""
    would_refuse: tuple[Obstacle, ...]
    """Empty when it would be accepted."""
    queue_ahead: int
    """Waiting jobs that would go before it as things stand."""
