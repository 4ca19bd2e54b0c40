"""Live oracles: the workloads of the tables for any schedule."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lab import live as module
from benchmarks.lab.files import load_table
from benchmarks.lab.live import LiveWorkload, live
from benchmarks.lab.workloads import WORKLOADS
from tuner.errors import InvalidValue
from tuner.schedules import Constant, Cosine, Schedule
from tuner.search.configuration import Configuration

COSINE = Configuration(schedule=Schedule(peak_lr=0.02, family=Cosine()))
DIVERGES = Configuration(schedule=Schedule(peak_lr=1e9, family=Constant()))


def test_a_live_run_is_the_recorded_one():
    table, workload = load_table("noisy-classification-a"), live("noisy-classification-a")
    configuration = next(one for one in table.configurations if one.schedule.peak_lr == 0.016)
    curve, loss = workload.oracle(configuration, 100, 3)
    recorded = table.run(configuration, steps=100, seed=3)
    assert [step for step, _ in curve] == [step for step, _ in recorded.curve]
    assert loss == pytest.approx(recorded.loss, rel=0.01)  # another processor rounds otherwise


def test_true_losses_are_means_over_their_seeds_and_infinite_where_a_run_diverged(tmp_path: Path):
    workload = LiveWorkload(workload=WORKLOADS["noisy-classification-a"], cache=tmp_path)
    finite, infinite = workload.true_losses([COSINE, DIVERGES], seeds=(1000, 1001))
    singles = [workload.oracle(COSINE, workload.total_steps, seed)[1] for seed in (1000, 1001)]
    assert finite == pytest.approx(np.mean(singles), rel=1e-3)
    assert infinite == math.inf


def test_a_loss_that_is_in_the_cache_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    workload = LiveWorkload(workload=WORKLOADS["noisy-classification-a"], cache=tmp_path)
    first = workload.losses([COSINE, DIVERGES], seeds=(1, 2))
    monkeypatch.setattr(module, "train_configurations", lambda *_, **__: pytest.fail("trained again"))
    assert np.array_equal(workload.losses([DIVERGES, COSINE, COSINE], seeds=(2,)), first[[1, 0, 0], 1:])


def test_unknown_workloads_and_options_are_refused():
    with pytest.raises(InvalidValue, match="one of noisy-classification-a"):
        live("noisy")
    with pytest.raises(InvalidValue, match="these workloads have none"):
        live("tiny-lm").oracle(Configuration(schedule=COSINE.schedule, options=(("dropout", 0.1),)), 300, 0)


def test_the_space_is_the_default_one_at_the_peaks_of_the_workload():
    space = live("noisy-regression-b").space
    assert (space.peak_lr.low, space.peak_lr.high) == WORKLOADS["noisy-regression-b"].peaks
