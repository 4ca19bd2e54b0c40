from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tuner.search.decision.rungs import price, rung_steps

from tests.integration.service.world import DIGITS, REQUEST, SCHEDULES
from tests.unit.jobs.tallies import tally_of
from tuner.jobs import progress as counting
from tuner.jobs.admission.admit import admit
from tuner.jobs.progress import Progress
from tuner.jobs.records import JobRecord, RunKind, RunRecord, TrialRecord
from tuner.jobs.states import JobState, RunState, TrialState

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
    limit_reached=None,
    plan_due=False,
)
STEPS = rung_steps(JOB.spec.search)
PRICE = price(JOB.spec.search)


def progress(job: JobRecord, *, trials: Sequence[TrialRecord], runs: Sequence[RunRecord], devices: int = 0) -> Progress:
    return counting.progress(job, tally=tally_of(trials=trials, runs=runs, devices=devices))


def trial(number: int, *, state: TrialState = TrialState.ACTIVE) -> TrialRecord:
    return TrialRecord(
        id=f"t{number}",
        job_id="j",
        number=number,
        optuna_number=number,
        cohort=0,
        control=None,
        state=state,
        schedule=SCHEDULES[number],
        options={},
        reason="",
    )


def run(number: int, **changes: Any) -> RunRecord:
    rung = changes.get("rung", 0)
    values = {
        "id": f"r{number}",
        "job_id": "j",
        "trial_id": f"t{number}",
        "trial_number": number,
        "kind": RunKind.RUNG,
        "rung": rung,
        "seed": 0,
        "total_steps": STEPS[rung],
        "schedule": SCHEDULES[number],
        "state": RunState.QUEUED,
        "reason": "",
        "attempts": 0,
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


def test_a_fresh_job_has_done_nothing():
    found = progress(JOB, trials=[], runs=[])
    assert (found.fraction, found.best, found.seconds_left) == (0.0, None, None)
    assert [rung.updates for rung in found.rungs] == list(STEPS)
    assert [rung.total for rung in found.rungs] == list(PRICE.rung_runs)
    assert found.audits.total == PRICE.audit_runs
    assert found.confirmations.total == PRICE.confirm_runs
    assert found.updates_expected == PRICE.updates


def test_trials_are_counted_by_state():
    trials = [
        trial(0, state=TrialState.PRUNED),
        trial(1, state=TrialState.COMPLETED),
        trial(2, state=TrialState.FAILED),
    ]
    counts = progress(JOB, trials=trials, runs=[]).trials
    assert (counts.planned, counts.opened, counts.pruned, counts.completed, counts.failed) == (3, 3, 1, 1, 1)


def test_runs_are_counted_by_rung_and_state():
    runs = [
        ended(0),
        run(1, state=RunState.LEASED, step=12),
        run(2),
        run(0, rung=1, state=RunState.FAILED),
        run(0, rung=1, kind=RunKind.CONFIRM, seed=1),
        ended(2, rung=1, kind=RunKind.AUDIT),
        run(1, rung=1, kind=RunKind.AUDIT, state=RunState.LEASED),
    ]
    found = progress(JOB, trials=[trial(0), trial(1), trial(2)], runs=runs)
    assert [(rung.done, rung.running, rung.queued) for rung in found.rungs] == [(1, 1, 1), (1, 0, 0)]
    assert (found.confirmations.done, found.confirmations.queued) == (0, 1)
    assert (found.audits.done, found.audits.running, found.audits.queued) == (1, 1, 0)
    assert found.fraction == pytest.approx((STEPS[0] + 12 + 2 * STEPS[1]) / PRICE.updates)


def test_a_diverged_run_is_settled_whole_however_early_it_ended():
    assert progress(JOB, trials=[], runs=[ended(0, loss=None)]).fraction == STEPS[0] / PRICE.updates


def test_the_best_is_the_lowest_loss_at_the_highest_rung():
    runs = [ended(0, loss=0.1), ended(1, loss=0.4, rung=1), ended(2, loss=0.3, rung=1), ended(0, loss=None, rung=1)]
    best = progress(JOB, trials=[trial(0), trial(1), trial(2)], runs=runs).best
    assert best is not None
    assert (best.trial, best.value, best.rung, best.updates) == (2, 0.3, 1, STEPS[1])
    assert best.label == SCHEDULES[2].label


def paced(number: int, **changes: Any) -> RunRecord:
    """A run that took half a second of device time for each of its updates."""
    return ended(number, **{"updates": STEPS[0], "device_seconds": STEPS[0] / 2} | changes)


THREE = [trial(number) for number in range(3)]
LEFT = PRICE.updates - 3 * STEPS[0]


@pytest.mark.parametrize(("devices", "seconds"), [(0, LEFT / 2), (1, LEFT / 2), (4, LEFT / 8)])
def test_the_time_left_follows_from_the_pace_of_succeeded_runs_and_the_active_devices(devices: int, seconds: float):
    found = progress(JOB, trials=THREE, runs=[paced(number) for number in range(3)], devices=devices)
    assert found.seconds_left == pytest.approx(seconds)


def test_updates_that_were_repeated_do_not_make_a_run_look_slower():
    repeated = paced(2, updates=3 * STEPS[0], device_seconds=3 * STEPS[0] / 2)
    assert progress(JOB, trials=THREE, runs=[paced(0), paced(1), repeated]).seconds_left == pytest.approx(LEFT / 2)


def test_two_runs_and_diverged_ones_are_too_few_for_the_time_left():
    runs = [paced(number) for number in range(2)]
    assert progress(JOB, trials=THREE, runs=[*runs, paced(2, loss=None)]).seconds_left is None


def test_a_paused_job_has_no_time_left():
    job = replace(JOB, state=JobState.PAUSED)
    assert progress(job, trials=THREE, runs=[paced(number) for number in range(3)]).seconds_left is None


def test_a_completed_job_is_done_even_with_runs_left_out():
    job = replace(JOB, state=JobState.COMPLETED, finished_at=200.0)
    found = progress(job, trials=[trial(0)], runs=[ended(0)])
    assert (found.fraction, found.seconds_left) == (1.0, None)


def test_more_than_expected_never_exceeds_the_whole():
    runs = [paced(0, rung=1, kind=RunKind.CONFIRM, seed=seed) for seed in range(100)]
    found = progress(JOB, trials=[trial(0)], runs=runs)
    assert (found.fraction, found.seconds_left) == (1.0, 0.0)
