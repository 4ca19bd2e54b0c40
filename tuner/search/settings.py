"""The settings of a search: horizon, budget, rungs, space. The plan and the sampler read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tuner.errors import InvalidValue
from tuner.schedules import Schedule
from tuner.search.space import Parameter, SearchSpace

MIN_HORIZON = 10
"""Fewest updates of a full training run: the loss of a shorter one does not depend on its schedule enough."""
MAX_RUNG_RATIO = 3.0
"""Above this ratio, the ranking at a rung no longer predicts the ranking at the next (docs/search.md, "The rungs")."""

MAX_TRIALS = 10_000
MAX_OPTIONS = 4
"""Most searched options: each one needs more trials."""


class SearchSettings(BaseModel):
    """Horizon, budget, rungs and space of one search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total_steps: int = Field(
        ge=MIN_HORIZON, le=100_000_000, description="The horizon: optimizer updates of a full training run."
    )
    trials: int = Field(default=16, ge=1, le=MAX_TRIALS, description="Schedules to try, the controls included. Exact.")
    max_updates: int | None = Field(
        default=None,
        ge=10,
        le=10**15,
        description="Upper limit of updates for the whole job, confirmation included; none when absent.",
    )
    rungs: int | None = Field(
        default=None,
        ge=1,
        le=6,
        description="Budgets that a schedule passes, the full horizon included; when absent, as many (3 at most) as "
        "leave the lowest with 2,000 updates or more.",
    )
    ratio: Annotated[float, Field(gt=1.0, le=MAX_RUNG_RATIO)] = Field(
        default=3.0, description="Updates of a rung over those of the rung below."
    )
    keep: float = Field(
        default=0.25, gt=0.0, le=1.0, description="Share of the trials at a rung that is promoted to the next."
    )
    cohort: int = Field(default=12, ge=2, le=1_000, description="Trials that are judged together at a rung.")
    audit: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="Share of the pruned trials, drawn at random, that is trained to the full horizon all the same "
        "once the search is over: what pruning lost is measured on them.",
    )
    controls: bool = Field(
        default=True,
        description="Whether constant rates and the usual default are tried, trained to the end and confirmed, to "
        "measure the recommendation against.",
    )
    start: tuple[Schedule, ...] = Field(
        default=(),
        max_length=8,
        description="Schedules to try first, at the full horizon: what is known to be good.",
    )
    finalists: int = Field(default=3, ge=1, le=50, description="Best full-length trials that are trained again.")
    confirm_seeds: int = Field(
        default=5,
        ge=0,
        le=50,
        description="Fresh seeds that each finalist and control is trained with, at most: none are spent on what is "
        "settled after three. At 0 nothing is confirmed.",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of the search and of its runs.")
    space: SearchSpace | None = Field(
        default=None, description="Where to search; the default space of the workload's optimizer when absent."
    )

    options: Mapping[str, Parameter] = Field(
        default_factory=dict,
        max_length=MAX_OPTIONS,
        description="Options of the workload to search along with the schedule, by name, each with its range or "
        "choices. The search starts with the job's own value of such an option.",
    )

    @property
    def searched_space(self) -> SearchSpace:
        """The space, which admission has filled in.

        Raises:
            InvalidValue: It is absent.
        """
        if self.space is None:
            raise InvalidValue("space", value=None, allowed="set before the search begins")
        return self.space
