"""The plan's view of a stored study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist
from typing import Final

from tuner.jobs.forecasts import BestTrial, ForecastRecord
from tuner.jobs.options import batch_rule, usual_options
from tuner.jobs.records import JobRecord, RunRecord, StudyRecord, TrialRecord
from tuner.jobs.states import RunState, TrialState
from tuner.schedules.scaling import ScalingRule
from tuner.search.decision.decisions import (
    RANGE_TEST_TRIAL,
    RangeTestView,
    RunStatus,
    RunView,
    Stop,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.estimates import COVERAGE, Estimates
from tuner.search.decision.range_test import bounded_settings
from tuner.search.decision.stopping import search_over
from tuner.search.range_test.result import RangeTest, range_test

_TRIAL_STATUS: Final = {
    TrialState.ACTIVE: TrialStatus.ACTIVE,
    TrialState.PRUNED: TrialStatus.PRUNED,
    TrialState.COMPLETED: TrialStatus.COMPLETED,
    TrialState.FAILED: TrialStatus.FAILED,
    TrialState.CANCELLED: TrialStatus.FAILED,
}
_RUN_STATUS: Final = {
    RunState.QUEUED: RunStatus.RUNNING,
    RunState.LEASED: RunStatus.RUNNING,
    RunState.SUCCEEDED: RunStatus.FINISHED,
    RunState.DIVERGED: RunStatus.DIVERGED,
    RunState.STOPPED: RunStatus.STOPPED,
    RunState.FAILED: RunStatus.FAILED,
}
_HALF_WIDTH: Final = NormalDist().inv_cdf(0.5 + COVERAGE / 2)
_REACHED: Final = frozenset({RunState.SUCCEEDED, RunState.DIVERGED, RunState.STOPPED})
"""States of a run whose cost is the updates that it reached."""


def study_state(record: StudyRecord) -> StudyState:
    """The plan's view of a stored study, without its margin, which follows from curves."""
    runs = runs_at_horizon(record)
    begun = {run.trial_number for run in runs}
    test = _range_test(record)
    state = StudyState(
        settings=bounded_settings(record.job.spec.search, test=None if test is None else test.result),
        range_test=test,
        metric=record.job.metric,
        trials=tuple(_trial_view(trial, begun=trial.number in begun) for trial in search_trials(record)),
        runs=tuple(_run_view(run, stop=record.stops.get(run.id)) for run in runs),
        usual_options=usual_options(record.job.spec),
        batch_exponent=0.5 if batch_rule(record.job.spec.options) is ScalingRule.SQRT else 1.0,
    )
    return replace(state, stop=_stop(record.job, state=state))


def search_trials(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """The trials of the search, by number: all but that of the range test."""
    return tuple(trial for trial in record.trials if trial.number != RANGE_TEST_TRIAL)


def runs_at_horizon(record: StudyRecord) -> tuple[RunRecord, ...]:
    """The runs of the search that the plan knows: of a job of an earlier version some are shorter."""
    horizon = record.job.spec.search.total_steps
    return tuple(
        run
        for run in record.runs
        if run.total_steps == horizon and run.state in _RUN_STATUS and run.trial_number != RANGE_TEST_TRIAL
    )


def range_test_of(record: StudyRecord) -> RangeTest | None:
    """The result of a study's LR range test so far; ``None`` while no run of it has a curve, and without one."""
    settings = record.job.spec.search.range_test
    if settings is None or settings.low is None or settings.high is None:
        return None
    if not any(sweep.points for sweep in record.sweeps):
        return None
    return range_test(record.sweeps, low=settings.low, high=settings.high, steps=settings.steps)


def _range_test(record: StudyRecord) -> RangeTestView | None:
    """The range test as the plan sees it; ``None`` before its trial."""
    trial = next((one for one in record.trials if one.number == RANGE_TEST_TRIAL), None)
    if trial is None:
        return None
    runs = [run for run in record.runs if run.trial_number == RANGE_TEST_TRIAL and run.state in _RUN_STATUS]
    views = tuple(_run_view(run, stop=None) for run in runs)
    over = trial.state is not TrialState.ACTIVE
    status = TrialStatus.PRUNED if trial.state is TrialState.CANCELLED else _TRIAL_STATUS[trial.state]
    ended = all(view.status is not RunStatus.RUNNING for view in views)
    # Read when all of its runs have ended: the bound must not move while the search goes on.
    return RangeTestView(status=status, runs=views, result=range_test_of(record) if over or ended else None)


def first_runs(record: StudyRecord) -> Mapping[int, RunRecord]:
    """The first run of each trial that has one, by the trial's number."""
    first: dict[int, RunRecord] = {}
    for run in runs_at_horizon(record):
        first.setdefault(run.trial_number, run)
    return first


def best_trial(state: StudyState) -> BestTrial | None:
    """The trial that the study recommends so far; ``None`` while no run has finished."""
    finished = [run for run in state.runs if run.status is RunStatus.FINISHED]
    if not finished:
        return None
    estimates = Estimates(state)
    trial = estimates.recommended
    expected = estimates.expected(trial)
    half = _HALF_WIDTH * expected.std
    low, high = sorted(state.metric.value(end) for end in (expected.mean - half, expected.mean + half))
    return BestTrial(
        trial=trial,
        label=state.trials[trial].configuration.label,
        value=state.metric.value(expected.mean),
        std=expected.std,
        low=low,
        high=high,
        runs=sum(run.trial == trial for run in finished),
        margin=estimates.margin,
    )


def _stop(job: JobRecord, *, state: StudyState) -> Stop | None:
    """The stop that one of the job's limits demands; ``None`` below all limits."""
    if job.limit_reached is not None:
        return Stop.now(job.limit_reached)
    limits = job.spec.limits
    target_loss = None if limits.target is None else job.metric.loss(limits.target)
    return search_over(state, target_loss=target_loss, patience=limits.patience)


def _trial_view(trial: TrialRecord, *, begun: bool) -> TrialView:
    status = _TRIAL_STATUS[trial.state]
    if status is TrialStatus.ACTIVE and not begun:
        status = TrialStatus.PRUNED  # of an earlier version, which had not trained it at the horizon
    return TrialView(number=trial.number, role=trial.role, status=status, configuration=trial.configuration)


def _run_view(run: RunRecord, *, stop: ForecastRecord | None) -> RunView:
    length = run.step if run.state in _REACHED else run.total_steps
    view = RunView(
        trial=run.trial_number,
        seed=run.seed,
        status=_RUN_STATUS[run.state],
        steps=length,
        loss=run.loss,
    )
    if run.state is RunState.STOPPED and stop is not None:
        return replace(view, loss=stop.mean, std=stop.std)
    return view
