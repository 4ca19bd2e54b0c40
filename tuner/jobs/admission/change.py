"""The changes that a stored job allows. Pure: the caller passes the progress of its search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tuner.errors import InvalidValue
from tuner.jobs.admission.budget import Budget
from tuner.jobs.priority import Priority
from tuner.jobs.spec import JobSpec, Limits
from tuner.search.settings import BUDGETS, MAX_TRIALS, SearchSettings

_SEARCH = frozenset({"budget", "trials"})


class JobChange(BaseModel):
    """Changes to a job; absent fields stay as they are.

    The name, the notes and whether the job is shared can change at any time; the rest until the job has finished.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Factories instead of defaults: an absent field has no value, and the API's description shows none.
    name: str = Field(default_factory=str, max_length=200, description="A name for the job; free text.")
    notes: str = Field(default_factory=str, max_length=10_000, description="Anything worth remembering; Markdown.")
    shared: bool = Field(default_factory=bool, description="Whether all teams may see the job.")
    priority: Priority = Field(
        default_factory=lambda: Priority.NORMAL,
        description="A higher class is scheduled first; up to the team's highest.",
    )
    limits: Limits = Field(
        default_factory=Limits, description="Limits at which the job stops: absent ones stay, `null` lifts one."
    )
    budget: Budget = Field(default_factory=lambda: BUDGETS["standard"])
    trials: int | None = Field(
        default_factory=lambda: None,
        ge=1,
        le=MAX_TRIALS,
        description="Most schedules to try, not fewer than those already opened; `null`: as many as the budget pays "
        "for.",
    )

    @property
    def set_fields(self) -> dict[str, Any]:
        """The fields that are present, as JSON."""
        return self.model_dump(mode="json", exclude_unset=True)

    @property
    def training_fields(self) -> frozenset[str]:
        """The present fields that decide which runs are trained, and when."""
        return (_SEARCH | {"priority", "limits"}) & self.model_fields_set


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """How far a job's search has come: the minimum of its budget."""

    trials: int
    """Trials opened so far."""
    committed_updates: int
    """Updates that the runs planned so far have taken or will take."""


def changed(spec: JobSpec, change: JobChange, *, progress: SearchProgress) -> JobSpec:
    """A job's request with a change made to it.

    Args:
        spec: The request as stored.
        change: The change.
        progress: How far the search has come.

    Raises:
        InvalidValue: ``trials`` is below those that were opened, or ``budget`` below what the planned runs take.
    """
    fields = {name: getattr(change, name) for name in change.model_fields_set}
    search = spec.search.model_copy(update={name: fields.pop(name) for name in _SEARCH & fields.keys()})
    if "trials" in change.model_fields_set:
        _check_trials(search, progress=progress)
    if "budget" in change.model_fields_set:
        _check_budget(search, progress=progress)
    if "limits" in fields:
        present = {name: getattr(change.limits, name) for name in change.limits.model_fields_set}
        fields["limits"] = spec.limits.model_copy(update=present)
    return spec.model_copy(update={**fields, "search": search})


def _check_trials(search: SearchSettings, *, progress: SearchProgress) -> None:
    if search.trials is not None and search.trials < progress.trials:
        allowed = f"at least {progress.trials}: this many have been opened"
        raise InvalidValue("trials", value=search.trials, allowed=allowed, hint="An opened trial cannot be removed.")


def _check_budget(search: SearchSettings, *, progress: SearchProgress) -> None:
    if search.budget_steps < progress.committed_updates:
        hundredths = math.ceil(100 * progress.committed_updates / search.total_steps)
        raise InvalidValue(
            "budget",
            value=search.budget,
            allowed=f"at least {hundredths / 100:g}: the runs planned so far take as many full runs",
            hint="A planned run cannot be removed.",
        )
