"""How long, how wide and where to search: the part of a job that the plan reads."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tuner.errors import InvalidValue
from tuner.search.space import SearchSpace

MIN_HORIZON = 10
"""Least updates of a full training run: a shorter one tells nothing about its schedule."""
MAX_RUNG_RATIO = 3.0
"""Above this, the ranking at a rung stops telling the ranking at the next (docs/architecture.md, "The rungs")."""

MAX_TRIALS = 10_000


class SearchSettings(BaseModel):
    """Horizon, budget, rungs and space of one search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total_steps: int = Field(
        ge=MIN_HORIZON, le=100_000_000, description="The horizon: optimizer updates of a full training run."
    )
    trials: int = Field(default=24, ge=1, le=MAX_TRIALS, description="Schedules to try, the controls included. Exact.")
    max_updates: int | None = Field(
        default=None,
        ge=10,
        le=10**15,
        description="Upper limit of updates for the whole job, confirmation included; none when absent.",
    )
    rungs: int = Field(default=3, ge=1, le=6, description="Budgets that a schedule passes, the full horizon included.")
    ratio: Annotated[float, Field(gt=1.0, le=MAX_RUNG_RATIO)] = Field(
        default=3.0, description="Updates of a rung over those of the rung below."
    )
    keep: float = Field(
        default=1 / 3, gt=0.0, le=1.0, description="Share of the trials at a rung that goes on to the next."
    )
    cohort: int = Field(
        default=12,
        ge=2,
        le=1_000,
        description="Trials that are judged together at a rung; the sampler learns between cohorts.",
    )
    finalists: int = Field(default=3, ge=1, le=50, description="Best full-length trials that are trained again.")
    confirm_seeds: int = Field(
        default=5, ge=2, le=50, description="Fresh seeds that each finalist and control is trained with."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of the search and of its runs.")
    space: SearchSpace | None = Field(
        default=None, description="Where to search; the default space of the workload's optimizer when absent."
    )

    @property
    def searched_space(self) -> SearchSpace:
        """The space, which admission has filled in.

        Raises:
            InvalidValue: It is absent.
        """
        if self.space is None:
            raise InvalidValue("space", value=None, allowed="given before the search begins")
        return self.space
