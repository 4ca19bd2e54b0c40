"""What the parts of a report rest on: the results of a study, and what is estimated from them once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

from tuner.report.study_result import StudyResult
from tuner.search.decision.decisions import RunStatus, RunView, TrialView
from tuner.search.decision.estimates import Estimates
from tuner.search.worth import LossOverSteps

MIN_RUNS: Final = 8
"""Runs on one seed each from which their scatter around the model says how large the noise is: the model itself takes
five numbers from them (level, best peak, cost of a peak off it, worth of a shape, its own variance)."""
HAS_RESULT = frozenset({RunStatus.FINISHED, RunStatus.DIVERGED})
"""Of a run at the horizon that counts as a result of its trial."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The results of a study, with the estimates from all its runs."""

    result: StudyResult
    estimates: Estimates
    loss_over_steps: LossOverSteps

    @classmethod
    def of(cls, result: StudyResult) -> Self:
        """The evidence of a study.

        Raises:
            InvalidValue: No run has finished.
        """
        return cls(
            result=result,
            estimates=Estimates(result.state),
            loss_over_steps=LossOverSteps(result.complete_curves, total_steps=result.total_steps),
        )

    @cached_property
    def _runs(self) -> dict[int, tuple[RunView, ...]]:
        return {
            trial.number: tuple(run for run in self.result.runs_of(trial.number) if run.status in HAS_RESULT)
            for trial in self.result.state.trials
        }

    def results(self, trial: int) -> tuple[RunView, ...]:
        """The runs of a trial that finished or diverged, the first one first."""
        return self._runs[trial]

    def diverged(self, trial: int) -> int:
        """How many runs of a trial diverged."""
        return sum(run.status is RunStatus.DIVERGED for run in self.results(trial))

    def view(self, trial: int) -> TrialView:
        """A trial as the plan sees it."""
        return self.result.state.trials[trial]

    @cached_property
    def stable(self) -> tuple[int, ...]:
        """The trials with an expected loss that did not diverge on any seed, the lowest first."""
        return tuple(trial for trial in self.estimates.trials if not self.diverged(trial))

    @cached_property
    def noise_is_known(self) -> bool:
        """Whether the runs say how large the noise over seeds is: without that, no interval is evidence."""
        finished = sum(run.status is RunStatus.FINISHED for run in self.result.state.runs)
        return self.noise_is_measured or finished >= MIN_RUNS

    @cached_property
    def noise_is_measured(self) -> bool:
        """Whether any configuration finished on two seeds."""
        finished = (run for run in self.result.state.runs if run.status is RunStatus.FINISHED)
        return max(Counter(self.view(run.trial).configuration for run in finished).values(), default=0) > 1
