"""What may be changed about a job that is stored. Pure: what the job has done so far is told, not looked up."""

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
    """What to change about a job: only what is given changes.

    Its name, its notes and whether it is shared can be changed at any time; the rest as long as it may still train.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Factories rather than defaults: what is left out has no value here, and none is shown in the API's description.
    name: str = Field(default_factory=str, max_length=200, description="What people call this job; free text.")
    notes: str = Field(default_factory=str, max_length=10_000, description="Anything worth remembering; Markdown.")
    shared: bool = Field(default_factory=bool, description="Whether every team may look at it.")
    priority: Priority = Field(
        default_factory=lambda: Priority.NORMAL, description="A higher class goes first; up to the team's highest."
    )
    limits: Limits = Field(
        default_factory=Limits, description="Where the job stops by itself: those given change, `null` lifts one."
    )
    trials: int = Field(
        default_factory=lambda: MAX_TRIALS,
        ge=1,
        le=MAX_TRIALS,
        description="Schedules to try, those that were opened already included; not fewer than these.",
    )
    max_updates: int | None = Field(
        default_factory=lambda: None,
        ge=10,
        le=10**15,
        description="Upper limit of updates for the whole job, those already asked for included; `null` lifts it.",
    )

    @property
    def given(self) -> dict[str, Any]:
        """What was given, as JSON."""
        return self.model_dump(mode="json", exclude_unset=True)

    @property
    def of_the_training(self) -> frozenset[str]:
        """Those of the given fields that decide what is trained, and when."""
        return (_BUDGET | {"priority", "limits"}) & self.model_fields_set


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """How far a job's search has come: what its budget cannot be set below."""

    opened: int
    """Trials."""
    asked: int
    """Updates that the runs asked for so far have taken or will take."""
    answered: bool
    """Whether a trial has reached the full horizon."""


def changed(spec: JobSpec, change: JobChange, *, course: SearchProgress) -> JobSpec:
    """A job's request with a change made to it.

    Args:
        spec: The request as stored.
        change: What to change.
        course: How far the search has come.

    Raises:
        InvalidValue: ``trials`` is below those that were opened, or ``max_updates`` below what an answer takes.
    """
    if "trials" in change.model_fields_set and change.trials < course.opened:
        allowed = f"at least {course.opened}: so many were opened already"
        raise InvalidValue("trials", value=change.trials, allowed=allowed, hint="A trial cannot be unmade.")
    fields = {name: getattr(change, name) for name in change.model_fields_set}
    budget: dict[str, Any] = {name: fields.pop(name) for name in _BUDGET & fields.keys()}
    search = spec.search.model_copy(update=budget)
    if "max_updates" in budget:
        check_max_updates(search, field="max_updates", least=_least(spec, course=course))
    if "limits" in fields:
        given = {name: getattr(change.limits, name) for name in change.limits.model_fields_set}
        fields["limits"] = spec.limits.model_copy(update=given)
    return spec.model_copy(update={**fields, "search": search})


def _least(spec: JobSpec, *, course: SearchProgress) -> int:
    """Updates with which the runs that were asked for can end, and an answer can still be reached."""
    if course.answered or not course.opened:
        return course.asked
    return course.asked + reserved_trials(spec.search) * sum(rung_steps(spec.search))
