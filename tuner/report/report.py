"""The report of a job: frozen values, stored and sent as versioned JSON.

Values are those of the job's metric at the horizon, as people read them. Where a value is ``None`` and its comment does
not say otherwise, the run diverged: it counts as infinitely bad. How each figure is computed: docs/report.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from tuner.metric import DEFAULT_METRIC, Metric
from tuner.report.insights import Advice, ParameterImportances, PruningAudit, ReportValue, Sensitivity, Transfer
from tuner.schedules import Schedule
from tuner.search.decision.decisions import Control, TrialStatus

_FORMER_GROUPS: Final = frozenset({"linear", "wsd"})


def _without_former_groups(control: object) -> object:
    return None if isinstance(control, str) and control in _FORMER_GROUPS else control


Group = Annotated[Control | None, BeforeValidator(_without_former_groups)]
"""The group of controls that a trial belongs to. Stored reports may name groups that there are no more: those are
trials like any other."""


class Verdict(StrEnum):
    """How the best candidate compares with a rival."""

    SAME = "same"
    """The rival is the best candidate itself."""
    BETTER = "better"
    """The best candidate is better, beyond the noise of the seeds; or the rival diverged and it did not."""
    TIED = "statistical tie"
    """Zero lies in the interval of the difference, or there are too few common seeds for an interval."""
    WORSE = "worse"
    """The rival's mean is better beyond noise although its median is not; or the best diverged and it did not."""


class SeedValue(ReportValue):
    """The result of one confirmation run."""

    seed: int
    value: float | None


class Candidate(ReportValue):
    """A schedule that was trained to the full horizon, and its results on fresh seeds."""

    trial: int
    label: str
    control: Group
    schedule: Schedule
    options: dict[str, Any] = Field(default_factory=dict)
    """Of the workload's options those that were searched, with the values that it was trained with."""
    search_value: float | None
    """Its value at the horizon during the search, on the search's one seed. The best of many such numbers is biased
    towards better ones (the winner's curse). ``None`` too when the search did not train it to the horizon."""
    values: tuple[SeedValue, ...]
    """By seed; empty when nothing was confirmed."""
    median: float | None
    """Over the seeds, a diverged one counting as infinitely bad; ``None`` when that is not finite or there is no seed.
    The same holds for the three that follow."""
    mean: float | None
    low: float | None
    high: float | None
    diverged: int
    """Seeds on which it diverged."""


class Gain(ReportValue):
    """How much better the best candidate is than a rival, in units of the metric and paired by seed."""

    mean: float
    """Positive where the best candidate is better, whatever the metric's direction."""
    low: float | None
    """Lower end of the 95 % interval (Student's t on the paired differences); ``None`` with a single pair."""
    high: float | None
    percent: float | None
    """The mean as a percentage of the rival's mean value on these seeds; ``None`` unless that is positive."""


class Comparison(ReportValue):
    """A rival against the best candidate."""

    trial: int
    """The rival."""
    label: str
    verdict: Verdict
    seeds: int
    """Seeds on which both have a result, divergence included."""
    wins: int
    """Seeds of these on which the best candidate has the better value. Equal values are no win."""
    diverged: int
    """Seeds on which the rival diverged."""
    gain: Gain | None
    """Over the common seeds on which neither diverged; ``None`` when there is none."""


class EquivalentSet(ReportValue):
    """The configurations that are statistically tied with the best: any of them would do."""

    members: tuple[Comparison, ...]
    """In the order of the candidates, the best first. A rival needs two common seeds with the best to be a member."""
    recommended: int
    """Trial number of the member that is cheapest to reuse."""
    rule: str
    reason: str


class Cost(ReportValue):
    """Training that the result took, in optimizer updates."""

    updates_spent: int
    """By all runs, repeated ones included: search and confirmation."""
    updates_saved: int = 0
    """What they did not execute, because they went on from where another run had come; in neither of the figures that
    follow. 0 in reports of releases that shared nothing."""
    search_updates: int
    confirm_updates: int
    updates_all_full: int
    """What training every trial to the horizon would have taken, without confirmation."""
    ratio: float
    """``search_updates / updates_all_full``; confirmation is in neither."""


class TrialRow(ReportValue):
    """One line of the table of all trials."""

    number: int
    label: str
    control: Group
    rung: int | None
    """The highest rung that it finished or diverged at, from 0; ``None`` when it has no result."""
    values: tuple[float | None, ...]
    """One per rung, up to ``rung``."""
    status: TrialStatus
    reason: str


class Report(ReportValue):
    """The recommended schedule, its gain with its uncertainty, and the cost of the search.

    Reports of version 1 stay readable: the analyses that they lack are ``None``.

    Example:
        >>> from tuner import Report, tune
        >>> report = tune("digits-mlp", total_steps=10, trials=2, search={"confirm_seeds": 0}, device="cpu")
        >>> report.workload, len(report.trials), report.rung_steps
        ('digits-mlp', 2, (10,))
        >>> len(report.recommended.schedule.lrs(report.total_steps))
        10
        >>> Report.model_validate_json(report.model_dump_json()) == report
        True
    """

    version: Literal[1, 2] = 2
    job_id: str
    job_name: str
    workload: str
    metric: Metric = DEFAULT_METRIC
    """What all values are of."""
    options: dict[str, Any]
    """The job's. What the candidates have goes over them."""
    total_steps: int
    rung_steps: tuple[int, ...]
    why_ended: str
    schedule_helps: bool
    """Whether the best candidate beats the best constant rate beyond noise."""
    finding: str
    """The sentence that says so, or that a schedule does not help here, or why it cannot be said. Where too little was
    tried for a claim, or the best peak rates lie at the edge of what was tried, the next sentences say that."""
    best: Candidate
    """The first of ``candidates``."""
    recommended: Candidate
    """The equivalent that is cheapest to reuse; often the best itself."""
    candidates: tuple[Candidate, ...]
    """Ranked: every confirmed trial. Without any confirmation, every trial that reached the horizon."""
    best_constant: Comparison | None
    """The best constant rate; ``None`` when no constant rate is among the candidates."""
    default: Comparison | None
    """Linear warm-up and cosine to zero, its best member; ``None`` when none is among the candidates."""
    equivalents: EquivalentSet
    cost: Cost
    trials: tuple[TrialRow, ...]
    """By number."""
    summary: tuple[str, ...]
    """The report in sentences, ``finding`` first."""
    sensitivities: tuple[Sensitivity, ...] | None = None
    """How far the peak may be off: of the best candidate, then of the recommended one where that is another. ``None``
    when absent from the report, as for the fields below."""
    importances: ParameterImportances | None = None
    audit: PruningAudit | None = None
    advice: tuple[Advice, ...] | None = None
    """What to change; empty when there is no advice."""
    transfer: Transfer | None = None
    """What transfers to a longer run."""

    def __str__(self) -> str:
        """The summary, one sentence a line."""
        return "\n".join(self.summary)

    def __repr__(self) -> str:
        return f"<Report of job {self.job_id}: {self.workload}, {len(self.trials)} trials, best {self.best.label!r}>"

    def candidate(self, trial: int) -> Candidate:
        """The candidate of this trial number.

        Raises:
            KeyError: It is none of the candidates.
        """
        for candidate in self.candidates:
            if candidate.trial == trial:
                return candidate
        raise KeyError(trial)
