"""The report of a job: frozen values, stored and sent as versioned JSON.

Values are those of the job's metric at the horizon, as people read them. Where a value is ``None`` and its comment does
not say otherwise, the run diverged: it counts as infinitely bad. How each figure is computed: docs/report.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tuner.metric import DEFAULT_METRIC, Metric
from tuner.report.insights import Advice, EarlyStops, ParameterImportances, ReportValue, Sensitivity, Transfer
from tuner.schedules import Schedule
from tuner.search.decision.decisions import Role, RunStatus, TrialStatus
from tuner.validation import choice

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Verdict(StrEnum):
    """Whether a change from a rival schedule helps."""

    HELPS = "helps"
    """The 95 % interval of the gain lies above zero; or the rival diverged."""
    DOES_NOT_HELP = "does not help"
    """The interval of every schedule that is not the rival lies below the margin: a gain, if there is one, is not worth
    a change."""
    NOT_SETTLED = "not settled"
    """Neither is shown yet."""


class Rival(StrEnum):
    """What the schedule is compared with."""

    INCUMBENT = "incumbent"
    """The schedule that is used today; where none was named, linear warm-up and cosine to zero."""
    CONSTANT = "constant"
    """The best constant rate without warm-up."""
    NO_WARMUP = "no warm-up"
    """The best schedule without warm-up."""


class SeedValue(ReportValue):
    """The result of one run at the horizon."""

    seed: int
    value: float | None


class Candidate(ReportValue):
    """A schedule that was trained to the full horizon, and its results."""

    trial: int
    label: str
    role: Role | None
    schedule: Schedule
    options: dict[str, Any] = Field(default_factory=dict)
    """Of the workload's options those that were searched, with the values that it was trained with."""
    values: tuple[SeedValue, ...]
    """By seed, the first run first. The first one chose the schedule: the best of many such numbers is biased towards
    better ones (the winner's curse), which ``expected`` corrects."""
    mean: float | None
    """Of ``values``; ``None`` when one diverged."""
    expected: float | None
    """The expected value at the horizon by the model of all runs (shrunken: without the selection bias of ``mean``);
    ``None`` when it diverged, or ended too far from the best for the model. So are the two that follow."""
    low: float | None
    """Lower end of the 95 % interval of ``expected``."""
    high: float | None
    diverged: int
    """Runs that diverged."""
    stopped: int
    """Runs that were stopped early, at bad seeds rather than at good ones: their forecasts are in ``expected``, not in
    ``mean``."""

    @property
    def seeds(self) -> int:
        """Runs with a result, those that diverged included."""
        return len(self.values)


class StepsGain(ReportValue):
    """A gain in training steps: how many times as many the rival would need for the same loss."""

    factor: float
    low: float
    """Lower end of the 95 % interval."""
    high: float | None
    """``None``: so many that it cannot be said."""
    or_more: bool
    """Whether ``factor`` is the largest that is reported: so many and more."""
    basis: str
    """The data that it rests on."""


class Gain(ReportValue):
    """How much better one schedule is than a rival, in units of the metric, by the model of all runs."""

    mean: float
    """Positive where it is better than the rival, whatever the metric's direction."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    percent: float | None
    """The mean as a percentage of the rival's expected value; ``None`` unless that is positive."""
    steps: StepsGain | None
    """``None`` where steps cannot say it."""


class Comparison(ReportValue):
    """The best schedule that is not the rival, against that rival."""

    rival: Rival
    trial: int | None
    """The rival's trial; ``None`` when no such schedule has a result."""
    name: str
    """The rival in words: ``"the usual default"``."""
    label: str
    """Of the rival's schedule; empty when no such schedule has a result and none was named."""
    forecast: bool
    """Whether the rival was stopped early: its value is then the forecast of its loss at the horizon."""
    best: int | None
    """The trial that is compared with it: the recommended one, or, where that is such a rival itself, the one with the
    best expected value that is none; ``None`` when every trial at the horizon is such a rival."""
    verdict: Verdict
    gain: Gain | None
    """``None`` without two values to compare."""
    worth_it: bool | None
    """Whether the mean gain reaches the margin; ``None`` without a gain."""
    cost_to_settle: float | None
    """Full runs that would probably settle it; ``None`` when it is settled, or when they are more than can be
    predicted."""
    sentence: str


class Margin(ReportValue):
    """The smallest gain that is worth a change of schedule."""

    value: float
    """In units of the metric."""
    worth: float | None
    """As a share of more updates that the incumbent would need; ``None`` where it is another one of the three."""
    least_gain: float | None
    """The job's own, where that is the largest; if neither, it is a tenth of the spread over seeds."""
    noise: float
    """Standard deviation of a run's value over the seeds, pooled over all trials."""
    noise_is_measured: bool
    """Whether a schedule was trained on two seeds; if not, ``noise`` is what the model of all runs assumes."""
    sentence: str


class Reusable(ReportValue):
    """A schedule that is cheaper to reuse than the recommended one and shown not to be worse by the margin."""

    trial: int
    reason: str


class Cost(ReportValue):
    """Training that the result took."""

    budget: float
    """In full runs, as asked for."""
    full_runs: float
    """Spent of the budget, in full runs: what was trained once for several of them counts for each."""
    updates_spent: int
    """Executed by all runs, repeated ones included."""
    updates_saved: int
    """What runs did not execute, because they went on from where another run had come."""
    updates_stopped: int
    """What runs did not execute, because they were stopped early."""
    runs: int
    """Runs that ended with a result: finished, stopped or diverged."""
    diverged: int
    """Of ``runs``: those that diverged."""
    updates_diverged: int
    """Updates that these had reached."""
    device_seconds: float | None
    """``None`` where nothing was measured."""


class RunRow(ReportValue):
    """One run of a trial."""

    seed: int
    status: RunStatus
    steps: int
    """Updates that it reached."""
    value: float | None
    """At its end; of a stopped run the forecast; ``None`` otherwise."""


class TrialRow(ReportValue):
    """One line of the table of all trials."""

    number: int
    label: str
    role: Role | None
    schedule: Schedule
    status: TrialStatus
    runs: tuple[RunRow, ...]
    """The first one first."""
    reason: str


class LearningCurve(ReportValue):
    """The evaluations of a run, thinned out."""

    trial: int
    seed: int
    status: RunStatus
    steps: tuple[int, ...]
    values: tuple[float, ...]


class Report(ReportValue):
    """The recommended schedule, its gain with its uncertainty, and the cost of the search.

    Example:
        >>> from tuner import OptimizerKind, simulate_study
        >>> def oracle(configuration, steps, seed):
        ...     loss = 1.0 + (configuration.schedule.lrs(steps)[-1] / configuration.schedule.peak_lr) / 10
        ...     return [(steps, loss)], loss
        >>> report = simulate_study(oracle, space=OptimizerKind.SGD, total_steps=100, budget=1, seed=0)
        >>> report.finding.partition(":")[0]
        'Nothing was compared'
        >>> [comparison.verdict.value for comparison in report.comparisons]
        ['not settled', 'not settled', 'not settled']
    """

    version: Literal[3] = 3
    job_id: str
    job_name: str
    workload: str
    metric: Metric = DEFAULT_METRIC
    """What all values are of."""
    options: dict[str, Any]
    """The job's. What the candidates have goes over them."""
    total_steps: int
    end_reason: str
    """Why the study ended."""
    finding: str
    """The first sentence: the verdict against the incumbent."""
    recommended: Candidate
    """The schedule to use: the best expected value among those that are no worse than the incumbent as far as the runs
    show."""
    incumbent: Candidate | None
    """``None`` when it was not trained to the horizon."""
    candidates: tuple[Candidate, ...]
    """Every trial that reached the horizon, the best expected value first; those that diverged last."""
    comparisons: tuple[Comparison, ...]
    """Against the incumbent, a constant rate, and schedules without warm-up, in this order."""
    margin: Margin
    reusable: Reusable | None
    """``None`` when no cheaper schedule is shown to be as good, or the recommended one is the cheapest itself."""
    cost: Cost
    early_stops: EarlyStops
    trials: tuple[TrialRow, ...]
    """By number."""
    curves: tuple[LearningCurve, ...]
    """Of at most 100 runs, those of the recommended schedule and the incumbent first."""
    reservations: tuple[str, ...]
    """What limits the recommendation: a peak at the edge of the range, one seed alone, options that differ."""
    next_steps: tuple[str, ...]
    """What to do next, in sentences."""
    summary: tuple[str, ...]
    """The report in sentences, ``finding`` first and what to do next last."""
    sensitivity: Sensitivity | None
    importances: ParameterImportances | None
    advice: tuple[Advice, ...]
    transfer: Transfer | None

    def __str__(self) -> str:
        """The summary, one sentence a line."""
        return "\n".join(self.summary)

    def __repr__(self) -> str:
        return (
            f"<Report of job {self.job_id}: {self.workload}, {len(self.trials)} trials, "
            f"recommended {self.recommended.label!r}>"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from tuner.report.pages.fragment import html_fragment  # on first use: it loads matplotlib

        return html_fragment(self)

    def plot(self, picture: str = "schedules") -> Figure:
        """Draw a picture of the report, which a notebook shows and ``savefig`` writes to a file.

        Args:
            picture: ``"schedules"``, the learning rates of the recommended schedule and its rivals; ``"estimates"``,
                the expected value of each candidate and the result on each seed; or ``"curves"``, the metric of every
                run over its updates.

        Returns:
            A figure of matplotlib, made without pyplot.

        Raises:
            InvalidValue: There is no such picture.
        """
        from tuner.report.plots.pictures import picture as drawn  # on first use: it loads matplotlib

        return drawn(self, name=picture)

    def candidate(self, trial: int) -> Candidate:
        """The candidate of this trial number.

        Raises:
            KeyError: It is none of the candidates.
        """
        for candidate in self.candidates:
            if candidate.trial == trial:
                return candidate
        raise KeyError(trial)

    def losses_of(self, trial: int) -> tuple[tuple[int, float], ...]:
        """The evaluations of a trial's first run that was trained to its end: updates done, and the loss there.

        A schedule that follows the loss has the rates of that run with them. Empty where the report has no such curve.
        """
        finished = (one for one in self.curves if one.trial == trial and one.status is RunStatus.FINISHED)
        curve = min(finished, key=lambda one: one.seed, default=None)
        if curve is None:
            return ()
        return tuple(dict(zip(curve.steps, map(self.metric.loss, curve.values), strict=True)).items())

    def comparison(self, rival: Rival | str) -> Comparison | None:
        """The comparison with a rival, a `Rival` or its name; ``None`` when the report has none.

        Raises:
            InvalidValue: There is no such rival.
        """
        wanted = choice("rival", rival, of=Rival)
        return next((one for one in self.comparisons if one.rival is wanted), None)
