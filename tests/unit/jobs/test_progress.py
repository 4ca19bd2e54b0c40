from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.digits import DIGITS, REQUEST, SCHEDULES
from tests.unit.jobs.tallies import tally_of
from tuner.jobs import progress as counting
from tuner.jobs.admission.admit import admit
from tuner.jobs.forecasts import BestTrial
from tuner.jobs.progress import Progress
from tuner.jobs.records import JobRecord, RunRecord, TrialRecord
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.search.decision.budget import price

JOB = JobRecord(
    id="j",
    state=JobState.RUNNING,
    spec=admit(REQUEST, workloads=[DIGITS]),
    metric=DIGITS.metric,
    owner="ann",
    origin=None,
    created_at=0.0,
    started_at=100.0,
    finished_at=None,
    error=None,
    updates_spent=0,
    updates_saved=0,
    device_seconds=0.0,
    failed_attempts=0,
    lost_attempts=0,
    limit_reached=None,
    best=None,
    plan_due=False,
)
STEPS = JOB.spec.search.total_steps
PRICE = price(JOB.spec.search)


def progress(job: JobRecord, *, trials: Sequence[TrialRecord], runs: Sequence[RunRecord], devices: int = 0) -> Progress:
    return counting.progress(job, tally=tally_of(trials=trials, runs=runs, devices=devices))


def trial(number: int, *, state: TrialState = TrialState.ACTIVE) -> TrialRecord:
    return TrialRecord(
        id=f"t{number}",
        job_id="j",
        number=number,
        optuna_number=number,
        role=None,
        state=state,
        schedule=SCHEDULES[number],
        options={},
        reason="",
        end_reason=None,
    )


def run(number: int, **changes: Any) -> RunRecord:
    values: dict[str, Any] = {
        "id": f"r{number}",
        "job_id": "j",
        "trial_id": f"t{number}",
        "trial_number": number,
        "seed": 0,
        "total_steps": STEPS,
        "schedule": SCHEDULES[number],
        "state": RunState.QUEUED,
        "reason": "",
        "alternatives": (),
        "attempts": 0,
        "failed_attempts": 0,
        "lost_attempts": 0,
        "worker": None,
        "step": 0,
        "updates": 0,
        "shared_updates": 0,
        "device_seconds": 0.0,
        "metric": DIGITS.metric,
        "loss": None,
        "error": None,
        "stop_reason": None,
        "created_at": 100.0,
        "queued_at": 100.0,
        "started_at": None,
        "finished_at": None,
    }
    return RunRecord(**values | changes)


def ended(number: int, *, loss: float | None = 0.5, at: float = 110.0, **changes: Any) -> RunRecord:
    state = RunState.DIVERGED if loss is None else RunState.SUCCEEDED
    return run(number, **{"state": state, "loss": loss, "finished_at": at, "step": 3} | changes)


def test_a_fresh_job_has_spent_nothing():
    found = progress(JOB, trials=[], runs=[])
    assert (found.fraction, found.full_runs_spent, found.best, found.seconds_left) == (0.0, 0.0, None, None)
    assert (found.budget, found.updates_most) == (JOB.spec.search.budget, PRICE.updates)


def test_trials_are_counted_by_state():
    trials = [
        trial(0, state=TrialState.PRUNED),
        trial(1, state=TrialState.COMPLETED),
        trial(2, state=TrialState.FAILED),
    ]
    counts = progress(JOB, trials=trials, runs=[]).trials
    assert (counts.most, counts.opened, counts.pruned, counts.completed, counts.failed) == (3, 3, 1, 1, 1)


def test_runs_are_counted_by_state():
    runs = [
        ended(0),
        ended(1, loss=None),
        run(0, state=RunState.STOPPED, seed=1),
        run(1, state=RunState.FAILED, seed=1),
        run(2, state=RunState.CANCELLED, seed=1),
        run(2, state=RunState.LEASED, step=12),
        run(2, seed=2),
    ]
    counts = progress(JOB, trials=[trial(0), trial(1), trial(2)], runs=runs).runs
    assert (counts.ended, counts.running, counts.queued) == (4, 1, 1)


def test_what_is_spent_is_what_the_runs_have_reached_and_a_failed_run_costs_all():
    runs = [
        ended(0, step=STEPS),
        run(1, state=RunState.STOPPED, step=20, updates=500),
        run(2, state=RunState.LEASED, step=10, shared_updates=10),
        run(1, state=RunState.FAILED, seed=1, step=3),
        run(2, state=RunState.CANCELLED, seed=1, step=50),
    ]
    found = progress(JOB, trials=[trial(0), trial(1), trial(2)], runs=runs)
    assert found.full_runs_spent == pytest.approx(2 + 30 / STEPS)
    assert found.fraction == pytest.approx((2 * STEPS + 30) / PRICE.updates)


def test_the_best_is_the_jobs_own():
    best = BestTrial(trial=2, label="linear", value=0.3, std=0.01, low=0.28, high=0.32, runs=3, margin=0.001)
    assert progress(replace(JOB, best=best), trials=[trial(0)], runs=[ended(0)]).best == best


def paced(number: int, **changes: Any) -> RunRecord:
    """A run that took half a second of device time for each of its updates."""
    return ended(number, **{"step": STEPS, "updates": STEPS, "device_seconds": STEPS / 2} | changes)


LEFT = PRICE.updates - STEPS


@pytest.mark.parametrize(("devices", "seconds"), [(0, LEFT / 2), (1, LEFT / 2), (4, LEFT / 8)])
def test_the_time_left_follows_from_the_pace_of_succeeded_runs_and_the_active_devices(devices: int, seconds: float):
    found = progress(JOB, trials=[trial(0)], runs=[paced(0)], devices=devices)
    assert found.seconds_left == pytest.approx(seconds)


def test_updates_that_were_repeated_do_not_make_a_run_look_slower():
    repeated = paced(2, updates=3 * STEPS, device_seconds=3 * STEPS / 2)
    assert progress(JOB, trials=[trial(0)], runs=[repeated]).seconds_left == pytest.approx(LEFT / 2)


def test_a_diverged_run_does_not_say_the_pace():
    assert progress(JOB, trials=[trial(0)], runs=[paced(0, loss=None)]).seconds_left is None


def test_a_paused_job_has_no_time_left():
    job = replace(JOB, state=JobState.PAUSED)
    assert progress(job, trials=[trial(0)], runs=[paced(0)]).seconds_left is None


def test_a_completed_job_is_done_even_with_budget_left():
    job = replace(JOB, state=JobState.COMPLETED, finished_at=200.0)
    found = progress(job, trials=[trial(0)], runs=[ended(0, step=STEPS)])
    assert (found.fraction, found.seconds_left) == (1.0, None)
    assert found.full_runs_spent == pytest.approx(1.0)


def test_more_than_expected_never_exceeds_the_whole():
    found = progress(JOB, trials=[trial(0)], runs=[paced(0, seed=seed) for seed in range(100)])
    assert (found.fraction, found.seconds_left) == (1.0, 0.0)
