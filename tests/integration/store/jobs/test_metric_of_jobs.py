"""The metric of a job: set at submission, losses in the tables, values in everything that people read."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.integration.store.builders import OFFER, STEPS, Bench, announce, point
from tuner.api.jobs import JobView
from tuner.api.runs import CurveSample, RunView
from tuner.cli.jobs.event_text import describe_event
from tuner.jobs.records import LeasedRun
from tuner.jobs.spec import Limits
from tuner.jobs.states import RunState
from tuner.jobs.study_state import best_trial, study_state
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.store import Store
from tuner_service.dashboard.notes import attributes

ACCURACY = Metric(name="accuracy", direction="maximize", unit="%")


@pytest.fixture
def lease(bench: Bench, store: Store) -> LeasedRun:
    """A run of a job that is judged by accuracy."""
    announce(store, "w1", workloads=[replace(OFFER, metric=ACCURACY)])
    bench.running_job(runs=2, limits=Limits(target=93.0))
    return bench.claim()


def test_a_job_keeps_the_metric_that_its_workload_had_at_submission(store: Store, lease: LeasedRun) -> None:
    announce(store, "w1", workloads=[OFFER])
    assert store.workers.workload(OFFER.name).metric == DEFAULT_METRIC
    assert lease.metric == store.jobs.get(lease.job_id).metric == ACCURACY
    assert JobView.of(store.jobs.get(lease.job_id)).metric == ACCURACY


def test_evaluations_and_ends_are_told_in_values(store: Store, lease: LeasedRun) -> None:
    points = [point(30, val_loss=-90.0), point(60, val_loss=math.nan)]
    store.leases.heartbeat(lease, points=points, updates=60, lease_seconds=60.0)
    store.leases.finish(lease, loss=-93.5, step=STEPS, updates=30)
    events = store.events.after(0, job_id=lease.job_id)
    assert [event.data["value"] for event in events if event.kind == "run.evaluated"] == [90.0, None]
    ended = events[-1]
    assert (ended.data["value"], ended.data["metric"]) == (93.5, ACCURACY.model_dump())
    assert describe_event(ended) == "trial 0: accuracy 93.50 %"
    curve = store.runs.curve(lease.run_id)
    assert [CurveSample.of(one, metric=ACCURACY).value for one in curve] == [90.0, None]


def test_runs_the_recommended_trial_and_the_dashboard_show_values(bench: Bench, store: Store, lease: LeasedRun) -> None:
    store.leases.finish(lease, loss=-88.0, step=STEPS, updates=STEPS)
    better = bench.claim()
    store.leases.finish(better, loss=-92.5, step=STEPS, updates=STEPS)
    assert [RunView.of(run).value for run in store.runs.list(lease.job_id).items] == [88.0, 92.5]
    record = store.planning.load(lease.job_id)
    best = best_trial(study_state(record))
    assert best is not None
    assert best.low < best.value < best.high
    assert 88.0 < best.value < 92.5
    shown = str(attributes(record, report=None, trial_ids={}))
    assert "accuracy" in shown
    assert "-92" not in shown


def test_the_target_is_a_value_that_a_run_at_the_horizon_reaches_from_below(
    bench: Bench, store: Store, lease: LeasedRun
) -> None:
    record = store.planning.load(lease.job_id)
    for loss, reason in ((-92.9, None), (-93.0, "the target 93 is reached: trial 0 has 93")):
        runs = tuple(
            replace(run, state=RunState.SUCCEEDED if run.trial_number == 0 else run.state, loss=loss)
            for run in record.runs
        )
        stop = study_state(replace(record, runs=runs)).stop
        assert (None if stop is None else stop.reason) == reason
