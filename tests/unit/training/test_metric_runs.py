"""Runs that are judged by a metric of their own: what they report is a loss inside, and what counts as divergence."""

from __future__ import annotations

import math

import pytest

from tests.unit.training.conftest import Counting
from tests.unit.training.test_opaque_runs import Loop, reports
from tuner.errors import WorkloadError
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.training.evaluation import Diverged, divergence_limit, to_curve_point
from tuner.training.protocol import Outcome
from tuner.training.workload import describe

ACCURACY = Metric(name="accuracy", direction="maximize", unit="%")


def of_accuracy(workload):
    workload.metric = ACCURACY
    return workload


def test_the_reports_of_an_opaque_workload_are_losses_inside(train):
    ended = train(of_accuracy(Loop(reports(10.0, 90.0, 93.5))), metric=ACCURACY)
    assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, -93.5), ended.traceback
    assert [message.point.val_loss for message in train.evaluated] == [-10.0, -90.0, -93.5]


def test_the_evaluations_of_a_stepwise_workload_are_losses_inside(train):
    ended = train(of_accuracy(Counting(on_validate=lambda done: 10.0 + done)), metric=ACCURACY)
    assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, -50.0), ended.traceback
    assert train.evaluated[0].point.val_loss == -10.0


def test_an_accuracy_that_collapses_is_a_bad_result_and_no_divergence(train):
    assert train(of_accuracy(Loop(reports(90.0, 10.0, 0.0))), metric=ACCURACY).outcome is Outcome.SUCCEEDED
    collapsing = of_accuracy(Counting(on_validate=lambda done: 90.0 if done < 20 else 0.0))
    assert train(collapsing, metric=ACCURACY).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(("value", "train_loss"), [(math.nan, 1.0), (math.inf, 1.0), (90.0, math.nan)])
def test_an_accuracy_or_a_training_loss_that_is_not_finite_is_divergence(value, train_loss):
    with pytest.raises(Diverged, match=r"the (accuracy|training loss) after 10 updates is (nan|inf)"):
        to_curve_point(value, step=10, lr=0.1, train_loss=train_loss, metric=ACCURACY, start_loss=-10.0)


def test_before_the_first_update_it_is_an_error_of_the_workload():
    with pytest.raises(WorkloadError, match="the accuracy before the first update is nan"):
        to_curve_point(math.nan, step=0, lr=0.1, train_loss=None, metric=ACCURACY, start_loss=None)


def test_a_minimized_metric_has_a_limit_where_it_starts_above_zero():
    assert divergence_limit(2.0, metric=DEFAULT_METRIC) == 6.0
    with pytest.raises(Diverged, match="the first evaluation gave 2, and 6 is the limit"):
        to_curve_point(6.5, step=10, lr=0.1, train_loss=None, metric=DEFAULT_METRIC, start_loss=2.0)


def test_a_workload_that_is_judged_otherwise_than_its_job_fails_with_what_to_do(train):
    ended = train(of_accuracy(Loop(reports(1.0))))
    assert ended.outcome is Outcome.FAILED
    assert "is judged by accuracy (maximize), the job by validation loss (minimize)" in ended.reason
    assert "give the workload a new version" in ended.reason


def test_the_metric_is_part_of_the_announcement_and_must_be_one():
    workload = of_accuracy(Loop(reports(1.0)))
    assert describe(workload).metric == ACCURACY
    workload.metric = "accuracy"
    with pytest.raises(WorkloadError, match=r"metric must be a tuner.Metric, got 'accuracy'"):
        describe(workload)
