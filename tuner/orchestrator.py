"""One planning step of one job: read its state, make the plan, write the new run, update Optuna's study.

It executes the decisions of the pure plan, under the study lock, in the worker that claimed it, and never inside a
transaction: Optuna writes on a connection of its own. Our tables are authoritative; Optuna's study is synchronised when
no device is idle, so a later step repairs what a crash leaves: it writes to Optuna what Optuna lacks, and marks a trial
that only Optuna has as failed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from tuner.job_reports import complete_curves, job_report
from tuner.jobs.records import NewRun, StudyLock, StudyRecord
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.jobs.study_state import best_trial, first_runs, search_trials, study_state
from tuner.search.decision.decisions import (
    RANGE_TEST_TRIAL,
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    Prune,
    Replicate,
    StudyState,
)
from tuner.search.decision.margin import loss_margin
from tuner.search.decision.plan import after, leading_ends, may_request, plan
from tuner.search.optuna.samplers import proposer_of
from tuner.search.optuna.study import Study, StudyTrial
from tuner.store import Store

LOCK_SECONDS = 60.0
"""How long a planning step may take before another worker may plan the same job."""
_OPTUNA_POINTS = 100  # of a run: Optuna writes each in a transaction of its own


def run_planning_step(store: Store, *, lock: StudyLock, ahead: bool = False) -> None:
    """Take one planning step for the job whose study is locked, and release the lock.

    A step closes the trials that have ended, and requests at most one run.

    Args:
        store: The database.
        lock: The study lock; released on return, even if no decision was made.
        ahead: The step plans ahead of a run that trains. It requests no run then: the result of that run improves the
            choice by more than the idle time costs.

    Raises:
        StudyLockLost: The lock expired; committed writes remain, and another worker continues.
        DatabaseUnavailable: The database failed; the next step completes partial writes.
    """
    record = store.planning.load(lock.job_id)
    if record.job.state is JobState.QUEUED:
        store.planning.start_job(lock)
    loaded, record = record, _close_ended_trials(store, lock=lock, record=record)
    state = study_state(record)
    if not ahead or record is not loaded or state.stop is not None:
        # Otherwise nothing is chosen or reported, and the step before has stored the best trial.
        state = replace(state, margin=loss_margin(state, curves=complete_curves(store, record=record)))
        record = _store_best(store, lock=lock, record=record, state=state)
    decisions = plan(state, capacity=0 if ahead else 1, proposer=proposer_of(state.settings))
    over = any(isinstance(decision, Finish | GiveUp) for decision in decisions)
    if ahead or over or not decisions:
        # Otherwise a device is idle until the run is stored: Optuna, which decides nothing, is updated while it trains.
        _sync_optuna(store, lock=lock, record=record)
    for decision in decisions:
        _carry_out(store, lock=lock, record=record, state=state, decision=decision)
        state = after(state, decision)
    if not over:
        # A needless flag would let an urgent job pre-empt a run although it has no run to start.
        store.planning.release(lock, again=(ahead or bool(decisions)) and may_request(state))


def _close_ended_trials(store: Store, *, lock: StudyLock, record: StudyRecord) -> StudyRecord:
    """Close the trials whose first run has ended; return the record as it is then."""
    first = first_runs(record)
    failed = [
        run
        for trial in search_trials(record)
        if trial.state is TrialState.ACTIVE
        and (run := first.get(trial.number)) is not None
        and run.state is RunState.FAILED
    ]
    for run in failed:
        reason = run.error or "it failed"
        store.planning.close_trial(lock, number=run.trial_number, state=TrialState.FAILED, reason=reason)
    if failed:
        record = store.planning.load(lock.job_id)
    # Closed trials may satisfy a stop condition: plan again.
    while ends := leading_ends(plan(study_state(record), capacity=0)):
        for end in ends:
            to = TrialState.PRUNED if isinstance(end, Prune) else TrialState.COMPLETED
            store.planning.close_trial(lock, number=end.trial, state=to, reason=end.reason)
        record = store.planning.load(lock.job_id)
    return record


def _store_best(store: Store, *, lock: StudyLock, record: StudyRecord, state: StudyState) -> StudyRecord:
    best = best_trial(state)
    if best == record.job.best:
        return record
    store.planning.set_best(lock, best)
    return replace(record, job=replace(record.job, best=best))


def _carry_out(store: Store, *, lock: StudyLock, record: StudyRecord, state: StudyState, decision: Decision) -> None:
    match decision:
        case NewTrial():
            store.planning.add_trial(
                lock,
                number=decision.number,
                role=decision.role,
                configuration=decision.configuration,
                reason=decision.reason,
                run=_new_run(decision, state=after(state, decision), trial=decision.number),
            )
        case Replicate():
            run = _new_run(decision, state=state, trial=decision.trial)
            store.planning.add_run(lock, trial_number=decision.trial, run=run)
        case Finish() if state.settings.range_test is not None and state.settings.range_test.alone:
            store.planning.complete_job(lock, report=None, reason=decision.reason)
        case Finish():
            report = job_report(store, record=record, state=state, end_reason=decision.reason)
            store.planning.complete_job(lock, report=report.model_dump(mode="json"), reason=decision.reason)
        case GiveUp():
            store.planning.fail_job(lock, error=f"{decision.reason}{_first_error(record)}")


def _first_error(record: StudyRecord) -> str:
    """The first error of a run, or else how the first run diverged, as the end of a sentence."""
    for state, words in ((RunState.FAILED, "The first error was: "), (RunState.DIVERGED, "The first run diverged: ")):
        for run in record.runs:
            if run.state is state and run.error:
                return f". {words}{run.error}"
    return ""


def _new_run(decision: NewTrial | Replicate, *, state: StudyState, trial: int) -> NewRun:
    test = state.settings.range_test if trial == RANGE_TEST_TRIAL else None
    return NewRun(
        seed=decision.seed,
        total_steps=state.settings.total_steps if test is None else test.steps,
        schedule=state.trials[trial].configuration.schedule if test is None else test.sweep,
        reason=decision.reason,
        alternatives=decision.alternatives,
    )


def _sync_optuna(store: Store, *, lock: StudyLock, record: StudyRecord) -> None:
    """Write to the Optuna study what our tables have and it lacks."""
    settings = record.job.spec.search
    if settings.range_test is not None and settings.range_test.alone:
        return
    study = Study.open(store.optuna_storage(), name=record.job.id, settings=settings, metric=record.job.metric)
    # A planner whose lock expired would treat the next planner's trials as orphans.
    store.planning.extend(lock, seconds=LOCK_SECONDS)
    trials = search_trials(record)
    known = {trial.number: trial.optuna_number for trial in trials if trial.optuna_number is not None}
    study.abandon_orphans(known.values())
    asked = {
        trial.number: study.ask(trial.configuration, number=trial.number, role=trial.role)
        for trial in trials
        if trial.number not in known
    }
    if asked:
        store.planning.set_optuna_numbers(lock, numbers=asked)
    study.sync(_optuna_trials(store, record=record, numbers=known | asked, open_numbers=study.open_numbers()))
    study.recommend(record.job.best)


def _optuna_trials(
    store: Store, *, record: StudyRecord, numbers: Mapping[int, int], open_numbers: Collection[int]
) -> list[StudyTrial]:
    """The trials that are open in Optuna, each with its first run."""
    first = first_runs(record)
    trials = [trial for trial in study_state(record).trials if numbers[trial.number] in open_numbers]
    ids = [first[trial.number].id for trial in trials if trial.number in first]
    losses = store.forecasts.losses(ids, points=_OPTUNA_POINTS)
    synced = []
    for trial in trials:
        run = first.get(trial.number)
        synced.append(
            StudyTrial(
                optuna_number=numbers[trial.number],
                status=trial.status,
                losses=() if run is None else losses[run.id],
                loss=None if run is None else run.loss,
                diverged_at=run.step if run is not None and run.state is RunState.DIVERGED else None,
            )
        )
    return synced
