"""The candidates of a report: every trial that reached the horizon, with its raw results and its expected value."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final

from tuner.metric import Metric
from tuner.report.evidence import Evidence
from tuner.report.report import Candidate, SeedValue
from tuner.search.decision.decisions import RunStatus, RunView

_NORMAL_95: Final = 1.959964
"""Half-width of the 95 % interval of a normal distribution, in standard deviations."""


def rank(evidence: Evidence) -> tuple[Candidate, ...]:
    """The trials with a finished run, the best expected value first.

    Those that ended too far from the best for the model follow by their mean, then those that diverged on any seed: by
    the share of their runs that did, then by the mean of the others.
    """
    stable = dict.fromkeys(evidence.stable)
    finished = dict.fromkeys(run.trial for run in evidence.result.state.runs if run.status is RunStatus.FINISHED)
    others = [trial for trial in finished if trial not in stable]
    others.sort(key=lambda trial: _instability(evidence.results(trial)))
    return tuple(_candidate(trial, evidence=evidence) for trial in (*stable, *others))


def _instability(runs: Sequence[RunView]) -> tuple[float, float]:
    losses = [run.loss for run in runs if run.loss is not None]
    return 1.0 - len(losses) / len(runs), statistics.fmean(losses)


def _candidate(trial: int, *, evidence: Evidence) -> Candidate:
    metric, view = evidence.result.metric, evidence.view(trial)
    runs, diverged = evidence.results(trial), evidence.diverged(trial)
    losses = [run.loss for run in runs if run.loss is not None]
    expected, low, high = (None, None, None)
    if not diverged and trial in evidence.stable:
        expected, low, high = _expected(trial, evidence=evidence, metric=metric)
    return Candidate(
        trial=trial,
        label=view.configuration.label,
        role=view.role,
        schedule=view.configuration.schedule,
        options=dict(view.configuration.options),
        values=tuple(SeedValue(seed=run.seed, value=metric.value_or_none(run.loss)) for run in runs),
        mean=None if diverged else metric.value(math.fsum(losses) / len(losses)),
        expected=expected,
        low=low,
        high=high,
        diverged=diverged,
        stopped=sum(run.status is RunStatus.STOPPED for run in evidence.result.runs_of(trial)),
    )


def _expected(trial: int, *, evidence: Evidence, metric: Metric) -> tuple[float, float, float]:
    """The expected value and its interval, the lower end first."""
    loss = evidence.estimates.expected(trial)
    half = _NORMAL_95 * loss.std
    ends = sorted(metric.value(loss.mean + sign * half) for sign in (-1.0, 1.0))
    return metric.value(loss.mean), ends[0], ends[1]
