"""LR range tests that train: in this process, and through the queue and the API."""

from __future__ import annotations

from typing import ClassVar

import pytest

import tuner
from tests.integration.test_tune import Broken, NoisyQuadratic
from tuner.errors import InvalidValue, StudyFailed
from tuner.jobs.admission.admit import admit
from tuner.search.space import OptimizerKind
from tuner.training.workload import describe


class Steep(NoisyQuadratic):
    """Gradient descent on a bowl whose curvature is 1 is unstable above a rate of 2."""

    peak_lr: ClassVar = {OptimizerKind.SGD: (0.02, 20.0)}


def test_it_finds_the_edge_of_stability():
    test = tuner.lr_range_test(Steep(), steps=100, low=1e-3, high=100.0, seeds=3, seed=0, device="cpu")
    assert 0.5 < test.readings.last_stable < 8.0
    assert test.readings.steepest < test.readings.last_stable
    assert len(test.points) > 20


def test_the_same_seed_gives_the_same_test():
    first, second = (
        tuner.lr_range_test(Steep(), steps=40, low=1e-3, high=10.0, seeds=1, seed=3, device="cpu") for _ in range(2)
    )
    assert first == second


def test_it_bounds_the_search_counts_in_its_cost_and_the_report_says_so():
    report = tuner.tune(
        Steep(),
        budget=6,
        range_test={"steps": 90, "low": 1e-3, "high": 100.0, "seeds": 3},
        search={"seed": 7},
        device="cpu",
    )
    (said,) = [one for one in report.reservations if one.startswith("The range test")]
    assert "unstable: peaks up to" in said
    assert all(trial.schedule.peak_lr < 8.0 for trial in report.trials if trial.role is None)
    assert [trial.number for trial in report.trials] == list(range(len(report.trials)))
    trained = sum(run.steps for trial in report.trials for run in trial.runs) / report.total_steps
    assert trained < report.cost.full_runs <= min(6.0, trained + 3.0)  # its runs end where they diverge


def test_a_test_whose_runs_fail_says_why():
    with pytest.raises(StudyFailed, match=r"train\.bin is not there"):
        tuner.lr_range_test(Broken(), steps=20, seeds=1, device="cpu")


def test_a_test_that_leaves_no_run_to_the_search_is_refused():
    with pytest.raises(InvalidValue, match=r"search\.range_test") as refused:
        tuner.tune(NoisyQuadratic(), budget=1, range_test=True, device="cpu")
    assert "raise the budget" in str(refused.value)


def test_the_rates_follow_from_the_range_of_peaks():
    request = {"workload": "noisy-quadratic", "search": {"range_test": {"alone": True}}}
    spec = admit(request, workloads=[describe(NoisyQuadratic())], seed=0)
    test = spec.search.range_test
    assert (test.low, test.high) == (pytest.approx(0.002), pytest.approx(30.0))
    assert (spec.search.total_steps, spec.search.budget) == (600, 1.0)
