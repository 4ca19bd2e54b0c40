"""Reports of jobs from what is stored of them: of a study that has ended, and of one that has not."""

from __future__ import annotations

from dataclasses import replace

from tuner.jobs.attempts import attempts_in_words
from tuner.jobs.forecasts import ForecastRecord
from tuner.jobs.records import StudyRecord
from tuner.jobs.states import JobState, RunState
from tuner.jobs.study_state import range_test_of, runs_at_horizon, search_trials, study_state
from tuner.report.build import build_report
from tuner.report.report import Report
from tuner.report.study_result import RunFailure, RunHistory, StudyResult
from tuner.search.decision.decisions import RunStatus, StudyState
from tuner.search.decision.margin import loss_margin
from tuner.search.decision.range_test import bound_text
from tuner.search.optuna.importances import parameter_importances
from tuner.search.pruning.forecast import Curve, Forecast
from tuner.search.pruning.stopping import ForecastCheck, Leader
from tuner.store import Store

_CURVE_POINTS = 200  # of a run: its loss does not jump between them unseen


def job_report(store: Store, *, record: StudyRecord, state: StudyState, end_reason: str) -> Report:
    """The report of a study from its runs so far.

    Args:
        store: The database.
        record: The study as stored.
        state: The plan's view of it, with its margin.
        end_reason: Why the study ended, or that it has not, in words.

    Raises:
        InvalidValue: No run has finished.
    """
    histories = _histories(store, record=record)
    return build_report(study_result(record, state=state, end_reason=end_reason, histories=histories))


def standing_report(store: Store, *, record: StudyRecord) -> Report | None:
    """What the report of a job would say if its study ended now; ``None`` while no run has finished.

    It recommends the trial that the planning recommends from the same runs.

    Args:
        store: The database.
        record: The study of the job, which may be in any state.
    """
    state = study_state(record)
    if not any(run.status is RunStatus.FINISHED for run in state.runs):
        return None
    state = replace(state, margin=loss_margin(state, curves=complete_curves(store, record=record)))
    return job_report(store, record=record, state=state, end_reason=_standing(record, state=state))


def study_result(
    record: StudyRecord, *, state: StudyState, end_reason: str, histories: tuple[RunHistory, ...] = ()
) -> StudyResult:
    """The input of the report.

    Args:
        record: The study as stored.
        state: The plan's view of it.
        end_reason: In words.
        histories: Of its runs.
    """
    first = {trial.number: state.runs_of(trial.number)[:1] for trial in state.trials}
    return StudyResult(
        job_id=record.job.id,
        job_name=record.job.spec.name,
        workload=record.job.spec.workload,
        options=record.job.spec.options,
        state=state,
        reasons={trial.number: trial.reasons for trial in search_trials(record)},
        range_test=_range_test_note(record),
        end_reason=end_reason,
        updates_spent=record.job.updates_spent,
        updates_saved=record.job.updates_saved,
        device_seconds=record.job.device_seconds,
        histories=histories,
        longer=record.job.spec.longer,
        failures=_failures(record),
        importances=parameter_importances(
            [
                (trial.configuration, run.loss)
                for trial in state.trials
                for run in first[trial.number]
                if run.loss is not None or run.status is RunStatus.DIVERGED
            ],
            settings=state.settings,
        ),
    )


def complete_curves(store: Store, *, record: StudyRecord) -> tuple[Curve, ...]:
    """The learning curves of the runs that were trained to their end."""
    return tuple(
        Curve(configuration=one.configuration, seed=one.seed, total_steps=one.total_steps, points=one.points)
        for one in store.forecasts.complete_curves(record.job.id, total_steps=record.job.spec.search.total_steps)
    )


def _range_test_note(record: StudyRecord) -> str:
    settings = record.job.spec.search
    if settings.range_test is None:
        return ""
    return bound_text(settings, test=range_test_of(record))


def _standing(record: StudyRecord, *, state: StudyState) -> str:
    """Why there is no report of the whole study, in words."""
    ended = sum(run.steps for run in state.runs if run.status is not RunStatus.RUNNING)
    training = sum(run.step for run in record.runs if run.state in (RunState.QUEUED, RunState.LEASED))
    spent = (ended + training) / state.settings.total_steps
    at = f"{spent:.3g} of {state.settings.budget:g} full runs"
    now = record.job.state
    words = {JobState.CANCELLED: "was cancelled", JobState.FAILED: "failed", JobState.COMPLETED: "completed"}
    return f"the job {words[now]} after {at}" if now in words else f"the job is {now.value}: {at} are spent"


def _histories(store: Store, *, record: StudyRecord) -> tuple[RunHistory, ...]:
    return tuple(
        RunHistory(
            trial=run.trial_number,
            seed=run.seed,
            steps=run.step,
            points=store.runs.curve(run.id, points=_CURVE_POINTS),
            check=None if stop is None else _check(stop),
            audited=stop is not None and run.state is not RunState.STOPPED,
        )
        for run in runs_at_horizon(record)
        for stop in (record.stops.get(run.id),)
    )


def _failures(record: StudyRecord) -> tuple[RunFailure, ...]:
    return tuple(
        RunFailure(
            trial=run.trial_number,
            seed=run.seed,
            attempts=attempts_in_words(failed=run.failed_attempts, lost=run.lost_attempts),
            error=(run.error or "no reason was recorded").split("\n", 1)[0],
        )
        for run in record.runs
        if run.state is RunState.FAILED
    )


def _check(stop: ForecastRecord) -> ForecastCheck:
    return ForecastCheck(
        forecast=Forecast(step=stop.step, mean=stop.mean, std=stop.std, low=stop.low, high=stop.high),
        leader=Leader(mean=stop.leader_mean, std=stop.leader_std),
        margin=stop.margin,
        chance=stop.chance,
        stop=stop.stop,
    )
