"""The settings of a search: horizon, budget, space. The plan and the sampler read them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from tuner.errors import InvalidValue
from tuner.schedules import Schedule
from tuner.schedules.lengths import MAX_STEPS
from tuner.search.range_test.settings import RangeTestSettings
from tuner.search.space import Parameter, SearchSpace

MIN_HORIZON: Final = 10
"""Fewest updates of a full training run: the loss of a shorter one does not depend on its schedule enough."""
MAX_TRIALS: Final = 10_000
MAX_OPTIONS: Final = 4
"""Most searched options: each one needs more trials."""
BUDGETS: Final[Mapping[str, float]] = {"quick": 3.0, "standard": 10.0, "thorough": 30.0}
"""Budgets by name, in full runs."""
DEFAULT_WORTH: Final = 0.05


class SamplerName(StrEnum):
    """What chooses the next new configuration of a search."""

    SCHEDULE = "schedule"
    """The model of schedules (`tuner.search.sampler`)."""
    TPE = "tpe"
    """Optuna's, with its defaults, like the following."""
    GP = "gp"
    CMAES = "cmaes"
    RANDOM = "random"
    QMC = "qmc"


class PrunerName(StrEnum):
    """By what a running training is stopped early."""

    FORECAST = "forecast"
    """The forecast of its loss at the end (`tuner.search.pruning`)."""
    MEDIAN = "median"
    """Optuna's rules, which compare the loss so far with those of other runs, like the following."""
    PERCENTILE = "percentile"
    SHA = "sha"
    HYPERBAND = "hyperband"


class SearchSettings(BaseModel):
    """Horizon, budget and space of one search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total_steps: int = Field(
        ge=MIN_HORIZON, le=MAX_STEPS, description="The horizon: optimizer updates of a full training run."
    )
    budget: float = Field(
        default=BUDGETS["standard"],
        ge=1.0,
        le=MAX_TRIALS,
        allow_inf_nan=False,
        description="What the job may cost, in full runs (the updates of one run at the horizon), everything included. "
        "What would not change the recommendation is not spent.",
    )
    trials: int | None = Field(
        default=None,
        ge=1,
        le=MAX_TRIALS,
        description="Most schedules to try; as many as the budget pays for when absent.",
    )
    seeds: int = Field(
        default=10, ge=1, le=50, description="Most seeds that one schedule is trained with, its first one included."
    )
    worth: float = Field(
        default=DEFAULT_WORTH,
        gt=0.0,
        le=10.0,
        description="A gain is worth a change of schedule from here on: the share of more updates that the incumbent "
        "would need for the same loss. 0.05: five per cent more updates.",
    )
    least_gain: float | None = Field(
        default=None,
        gt=0.0,
        allow_inf_nan=False,
        description="A gain below this is not worth a change of schedule either, in units of the metric: 0.2 for an "
        "accuracy in per cent is 0.2 points.",
    )
    sampler: SamplerName = Field(
        default=SamplerName.SCHEDULE,
        description="What chooses the next new schedule: the model of schedules, or a sampler of Optuna's, which knows "
        "nothing of schedules. When a further seed is worth more than a new schedule, and what is recommended, is "
        "decided alike with all of them.",
    )
    prune: bool = Field(default=True, description="Whether runs are stopped early, by the rule of `pruner`.")
    pruner: PrunerName = Field(
        default=PrunerName.FORECAST,
        description="When a run is stopped: `forecast`, once the forecast of its loss at the end leaves it almost no "
        "chance to beat the leader; else by one of Optuna's rules, which compare the loss so far with those of other "
        "runs, and so stop schedules that hold their rate and win in the end.",
    )
    incumbent: Schedule | None = Field(
        default=None,
        description="The schedule that is used today: nothing that is expected to be worse is recommended. When "
        "absent, linear warm-up and cosine to zero at the middle of the range of peaks.",
    )
    range_test: RangeTestSettings | None = Field(
        default=None,
        description="An LR range test before the search: it bounds the search's peaks from above. Its updates count "
        "against the budget. None when absent.",
    )
    start: tuple[Schedule, ...] = Field(
        default=(), max_length=8, description="Schedules to try first: what is known to be good."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of the search, from which those of its runs follow.")
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

    @property
    def budget_steps(self) -> int:
        """The budget in updates."""
        return round(self.budget * self.total_steps)
