"""The changes that a stored job allows. Pure: the caller passes the progress of its search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import check_max_updates
from tuner.jobs.priority import Priority
from tuner.jobs.spec import JobSpec, Limits
from tuner.search.decision.rungs import reserved_trials, rung_steps
from tuner.search.settings import MAX_TRIALS

_BUDGET = frozenset({"trials", "max_updates"})


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
    trials: int = Field(
        default_factory=lambda: MAX_TRIALS,
        ge=1,
        le=MAX_TRIALS,
        description="Number of schedules to try, including those already opened; not fewer than these.",
    )
    max_updates: int | None = Field(
        default_factory=lambda: None,
        ge=10,
        le=10**15,
        description="Upper limit of updates for the whole job, including those already planned; `null` lifts it.",
    )

    @property
    def set_fields(self) -> dict[str, Any]:
        """The fields that are present, as JSON."""
        return self.model_dump(mode="json", exclude_unset=True)

    @property
    def training_fields(self) -> frozenset[str]:
        """The present fields that decide which runs are trained, and when."""
        return (_BUDGET | {"priority", "limits"}) & self.model_fields_set


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """How far a job's search has come: the minimum of its budget."""

    trials: int
    """Trials opened so far."""
    committed_updates: int
    """Updates that the runs planned so far have taken or will take."""
    reached_horizon: bool
    """Whether a trial has completed."""


def changed(spec: JobSpec, change: JobChange, *, progress: SearchProgress) -> JobSpec:
    """A job's request with a change made to it.

    Args:
        spec: The request as stored.
        change: The change.
        progress: How far the search has come.

    Raises:
        InvalidValue: ``trials`` is below those that were opened, or ``max_updates`` below what a report takes.
    """
    if "trials" in change.model_fields_set and change.trials < progress.trials:
        allowed = f"at least {progress.trials}: this many have been opened"
        raise InvalidValue("trials", value=change.trials, allowed=allowed, hint="An opened trial cannot be removed.")
    fields = {name: getattr(change, name) for name in change.model_fields_set}
    budget: dict[str, Any] = {name: fields.pop(name) for name in _BUDGET & fields.keys()}
    search = spec.search.model_copy(update=budget)
    if "max_updates" in budget:
        check_max_updates(search, field="max_updates", minimum=_minimum_budget(spec, progress=progress))
    if "limits" in fields:
        given = {name: getattr(change.limits, name) for name in change.limits.model_fields_set}
        fields["limits"] = spec.limits.model_copy(update=given)
    return spec.model_copy(update={**fields, "search": search})


def _minimum_budget(spec: JobSpec, *, progress: SearchProgress) -> int:
    """The updates that finish the planned runs and still reach a report."""
    if progress.reached_horizon or not progress.trials:
        return progress.committed_updates
    return progress.committed_updates + reserved_trials(spec.search) * sum(rung_steps(spec.search))
