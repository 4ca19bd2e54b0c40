"""One planning step of one job: read its state, make the plan, choose schedules, write new runs, update Optuna's study.

It executes the decisions of the pure plan, under the study lock, in the worker that claimed it, and never inside a
transaction: Optuna writes on a connection of its own. Our tables are authoritative; Optuna's study is synchronised when
no device is idle, so a later step repairs what a crash leaves: it writes to Optuna what Optuna lacks, and marks a trial
that only Optuna has as failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tuner.jobs.records import NewRun, RunKind, StudyLock, StudyRecord
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.jobs.study_state import HAS_RESULT, TRIAL_STATUS, RunsByTrial, study_state
from tuner.report.build import build_report
from tuner.report.study_result import RunCurve, StudyResult, TrialResult
from tuner.schedules import Schedule
from tuner.search.decision.decisions import (
    Audit,
    CompleteTrial,
    Confirm,
    Control,
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    Promote,
    Prune,
    StudyState,
)
from tuner.search.decision.plan import leading_ends, plan
from tuner.search.decision.rungs import rung_schedule, rung_steps, search_seed
from tuner.search.optuna.importances import parameter_importances
from tuner.search.optuna.study import Study, StudyTrial
from tuner.search.sampler.propose import configuration_for
from tuner.search.settings import SearchSettings
from tuner.store import Store

LOCK_SECONDS = 60.0
"""How long a planning step may take before another worker may plan the same job."""
_CURVE_POINTS = 200  # of a run, for the report: its loss does not jump between them unseen


def run_planning_step(store: Store, *, lock: StudyLock, ahead: bool = False) -> None:
    """Take one planning step for the job whose study is locked, and release the lock.

    A step requests at most one run: for a worker that is idle, or ahead of time for one that trains.

    Args:
        store: The database.
        lock: The study lock; released on return, even if no decision was made.
        ahead: The step plans ahead of a run that trains. It chooses no schedule then: the result of that run improves
            the choice by more than the idle time costs.

    Raises:
        StudyLockLost: The lock expired; committed writes remain, and another worker continues.
        DatabaseUnavailable: The database failed; the next step completes partial writes.
    """
    record = store.planning.load(lock.job_id)
    if record.job.state is JobState.QUEUED:
        store.planning.start_job(lock)
    record = _close_failed_trials(store, lock=lock, record=record)
    decisions = plan(study_state(record), capacity=1)
    while closing := leading_ends(decisions):
        for ended in closing:
            state = TrialState.PRUNED if isinstance(ended, Prune) else TrialState.COMPLETED
            store.planning.close_trial(lock, number=ended.trial, state=state, reason=ended.reason)
        # Closed trials may satisfy a stop condition: plan again.
        record = store.planning.load(lock.job_id)
        decisions = plan(study_state(record), capacity=1)
    # Trials that end only because of what is opened here end in the next step.
    opening = [decision for decision in decisions if not isinstance(decision, Prune | CompleteTrial)]
    if postponed := ahead and any(map(_chooses_schedule, opening)):
        opening = []
    over = any(isinstance(decision, Finish | GiveUp) for decision in opening)
    if ahead or over or not opening:
        # Otherwise a device is idle until the run is opened: Optuna, which decides nothing, is updated while it trains.
        _sync_optuna(store, lock=lock, record=record)
    for decision in opening:
        _carry_out(store, lock=lock, record=record, decision=decision)
    if over:
        return
    if opening:
        # A needless flag would let an urgent job pre-empt a run although it has no run to start.
        postponed = bool(plan(study_state(store.planning.load(lock.job_id)), capacity=1))
    store.planning.release(lock, again=postponed)


def _chooses_schedule(decision: Decision) -> bool:
    """Whether a decision chooses a schedule, and so benefits from the result of the run that trains."""
    return isinstance(decision, NewTrial) and decision.schedule is None


def study_result(record: StudyRecord, *, why_ended: str, curves: Sequence[RunCurve] = ()) -> StudyResult:
    """The input of the report.

    Args:
        record: The study as stored.
        why_ended: In words.
        curves: Of its confirmation runs; without them, no advice is taken from any.
    """
    runs = RunsByTrial.from_runs(record.runs)
    settings = record.job.spec.search
    trials = tuple(
        TrialResult(
            number=trial.number,
            control=None if trial.control is None else Control(trial.control),
            configuration=trial.configuration,
            status=TRIAL_STATUS[trial.state],
            losses=tuple(result.loss for result in runs.results(trial.number)),
            reason=trial.reason,
        )
        for trial in record.trials
    )
    return StudyResult(
        job_id=record.job.id,
        job_name=record.job.spec.name,
        workload=record.job.spec.workload,
        metric=record.job.metric,
        options=record.job.spec.options,
        total_steps=settings.total_steps,
        rung_steps=rung_steps(settings),
        trials=trials,
        confirmations={
            number: {run.seed: run.loss for run in confirmed if run.state in HAS_RESULT}
            for number, confirmed in sorted(runs.confirmations.items())
        },
        updates_spent=record.job.updates_spent,
        updates_saved=record.job.updates_saved,
        confirm_updates=sum(run.updates for run in record.runs if run.kind is RunKind.CONFIRM),
        why_ended=why_ended,
        audits={run.trial_number: run.loss for run in runs.audits if run.state in HAS_RESULT},
        curves=tuple(curves),
        longer=record.job.spec.longer,
        importances=parameter_importances([(trial.configuration, trial.losses) for trial in trials], settings=settings),
    )


def _open_trial(store: Store, *, lock: StudyLock, state: StudyState, decision: NewTrial) -> None:
    configuration = configuration_for(decision, state=state)
    store.planning.add_trial(
        lock,
        number=decision.number,
        cohort=decision.cohort,
        control=decision.control,
        configuration=configuration,
        reason=decision.reason,
        run=_rung_run(configuration.schedule, settings=state.settings, rung=0, reason=decision.reason),
    )


def _carry_out(store: Store, *, lock: StudyLock, record: StudyRecord, decision: Decision) -> None:
    settings = record.job.spec.search
    match decision:
        case NewTrial():
            _open_trial(store, lock=lock, state=study_state(record), decision=decision)
        case Promote():
            schedule = record.trials[decision.trial].schedule
            run = _rung_run(schedule, settings=settings, rung=decision.rung, reason=decision.reason)
            store.planning.add_run(lock, trial_number=decision.trial, run=run)
        case Confirm():
            top = len(rung_steps(settings)) - 1
            schedule = record.trials[decision.trial].schedule
            run = _rung_run(schedule, settings=settings, rung=top, reason=decision.reason)
            run = replace(run, kind=RunKind.CONFIRM, seed=decision.seed)
            store.planning.add_run(lock, trial_number=decision.trial, run=run)
        case Audit():
            top = len(rung_steps(settings)) - 1
            schedule = record.trials[decision.trial].schedule
            run = _rung_run(schedule, settings=settings, rung=top, reason=decision.reason)
            store.planning.add_run(lock, trial_number=decision.trial, run=replace(run, kind=RunKind.AUDIT))
        case Finish():
            curves = _confirmation_curves(store, record=record)
            report = build_report(study_result(record, why_ended=decision.reason, curves=curves))
            store.planning.complete_job(lock, report=report.model_dump(mode="json"))
        case GiveUp():
            errors = (run.error for run in record.runs if run.state is RunState.FAILED and run.error)
            first = next(errors, "")
            error = f"{decision.reason}. The first error was:\n{first}" if first else decision.reason
            store.planning.fail_job(lock, error=error)


def _confirmation_curves(store: Store, *, record: StudyRecord) -> tuple[RunCurve, ...]:
    return tuple(
        RunCurve(trial=run.trial_number, seed=run.seed, points=store.runs.curve(run.id, points=_CURVE_POINTS))
        for run in record.runs
        if run.kind is RunKind.CONFIRM and run.state in HAS_RESULT
    )


def _rung_run(schedule: Schedule, *, settings: SearchSettings, rung: int, reason: str) -> NewRun:
    return NewRun(
        kind=RunKind.RUNG,
        rung=rung,
        seed=search_seed(settings),
        total_steps=rung_steps(settings)[rung],
        schedule=rung_schedule(schedule, settings=settings, rung=rung),
        reason=reason,
    )


def _sync_optuna(store: Store, *, lock: StudyLock, record: StudyRecord) -> None:
    """Write to the Optuna study what our tables have and it lacks."""
    settings = record.job.spec.search
    study = Study.open(store.optuna_storage(), name=record.job.id, settings=settings, metric=record.job.metric)
    # A planner whose lock expired would treat the next planner's trials as orphans.
    store.planning.extend(lock, seconds=LOCK_SECONDS)
    known = {trial.number: trial.optuna_number for trial in record.trials if trial.optuna_number is not None}
    study.abandon_orphans(known.values())
    asked = {
        trial.number: study.ask(
            trial.configuration,
            number=trial.number,
            control=None if trial.control is None else Control(trial.control),
        )
        for trial in record.trials
        if trial.number not in known
    }
    if asked:
        store.planning.set_optuna_numbers(lock, numbers=asked)
    numbers, steps, runs = known | asked, rung_steps(settings), RunsByTrial.from_runs(record.runs)
    study.sync(
        [
            StudyTrial(
                optuna_number=numbers[trial.number],
                steps_results=tuple(
                    (steps[rung], result.loss) for rung, result in enumerate(runs.results(trial.number))
                ),
                status=TRIAL_STATUS[trial.state],
            )
            for trial in record.trials
        ]
    )


def _close_failed_trials(store: Store, *, lock: StudyLock, record: StudyRecord) -> StudyRecord:
    """End the trials whose workload failed; return the record as it is then."""
    runs = RunsByTrial.from_runs(record.runs)
    failed = [
        (trial, run)
        for trial in record.trials
        if trial.state is TrialState.ACTIVE
        for run in runs.rungs[trial.number]
        if run.state is RunState.FAILED
    ]
    for trial, run in failed:
        store.planning.close_trial(lock, number=trial.number, state=TrialState.FAILED, reason=run.error or "it failed")
    return store.planning.load(lock.job_id) if failed else record
