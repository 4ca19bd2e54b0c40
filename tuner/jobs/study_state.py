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
from tuner.search.decision.decisions import RunStatus, RunView, Stop, StudyState, TrialStatus, TrialView
from tuner.search.decision.estimates import COVERAGE, Estimates
from tuner.search.decision.stopping import search_over

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
    state = StudyState(
        settings=record.job.spec.search,
        metric=record.job.metric,
        trials=tuple(_trial_view(trial, begun=trial.number in begun) for trial in record.trials),
        runs=tuple(_run_view(run, stop=record.stops.get(run.id)) for run in runs),
        usual_options=usual_options(record.job.spec),
        batch_exponent=0.5 if batch_rule(record.job.spec.options) is ScalingRule.SQRT else 1.0,
    )
    return replace(state, stop=_stop(record.job, state=state))


def runs_at_horizon(record: StudyRecord) -> tuple[RunRecord, ...]:
    """The runs that the plan knows: of a job of an earlier version some are shorter."""
    horizon = record.job.spec.search.total_steps
    return tuple(run for run in record.runs if run.total_steps == horizon and run.state in _RUN_STATUS)


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
