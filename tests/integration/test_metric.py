"""Workloads that are judged by something else than a loss: the direction is the workload's affair alone."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits

from tuner import Metric, OpaqueWorkload, OptimizerKind, Report, ShuffledBatches, TrainingRun, WorkloadOptions, tune
from tuner.report.pages.formats import ReportFormat, rendered
from tuner.report.terminal.page import render_text
from tuner.schedules import Constant

SEARCH = {"seed": 5}


class Digits(OpaqueWorkload):
    """A linear classifier of real digits, judged by its accuracy on held-out scans."""

    name = "digits-linear"
    version = "1"
    description = "Handwritten digits, a linear model; the accuracy on 597 held-out scans."
    default_steps = 60
    optimizer = OptimizerKind.SGD
    peak_lr = {OptimizerKind.SGD: (0.001, 3.0)}  # noqa: RUF012
    metric = Metric(name="accuracy", direction="maximize", unit="%")

    def train(self, run: TrainingRun, options: WorkloadOptions) -> None:
        x, y = load_digits(return_X_y=True)
        x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
        model = torch.nn.Linear(64, 10)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        scheduler = run.scheduler(optimizer)
        rows = ShuffledBatches(1200, batch_size=32, seed=run.seed, device=torch.device("cpu"))
        for step in range(run.total_steps):
            batch = rows.indices(step)
            loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            if step + 1 in run.evaluate_at:
                accuracy = (model(x[1200:]).argmax(dim=1) == y[1200:]).double().mean()
                run.report(step + 1, value=self.judged(100 * float(accuracy)), train_loss=loss)

    def judged(self, accuracy: float) -> float:
        return accuracy


class DigitsError(Digits):
    """The same, judged by the error."""

    metric = Metric(name="error", unit="%")

    def judged(self, accuracy: float) -> float:
        return 100.0 - accuracy


class Reward(OpaqueWorkload):
    """A reward that is never positive: best at a peak rate of 0.03 and a decay to zero."""

    name = "negative-reward"
    version = "1"
    description = "A formula; the mean reward, at most 0."
    default_steps = 60
    optimizer = OptimizerKind.SGD
    peak_lr = {OptimizerKind.SGD: (0.001, 1.0)}  # noqa: RUF012
    metric = Metric(name="mean reward", direction="maximize")

    def train(self, run: TrainingRun, options: WorkloadOptions) -> None:
        peak = float(run.lrs.max())
        cost = math.log(peak / 0.03) ** 2 + 3.0 * float(run.lrs[-1]) / peak + 1.0 + 0.01 * (run.seed % 7)
        for step in run.evaluate_at:
            run.report(step, value=-cost * (2.0 - step / run.total_steps))


@pytest.fixture(scope="module")
def accuracy() -> Report:
    return tune(Digits(), budget=8, search=SEARCH)


def without_numbers_of_the_metric(report: Report) -> dict[str, Any]:
    return {
        "trials": [(trial.number, trial.label, trial.status, trial.role) for trial in report.trials],
        "candidates": [candidate.trial for candidate in report.candidates],
        "recommended": report.recommended.trial,
        "verdicts": [(one.rival, one.best, one.verdict) for one in report.comparisons],
    }


def test_the_schedule_with_the_highest_accuracy_is_best(accuracy: Report) -> None:
    expected = [one.expected for one in accuracy.candidates if one.expected is not None]
    assert accuracy.recommended.expected == pytest.approx(max(expected), abs=accuracy.margin.value)
    assert max(expected) > 80.0
    assert len(set(expected)) > 1
    values = [run.value for trial in accuracy.trials for run in trial.runs if run.value is not None]
    assert min(values) > 0.0
    assert accuracy.metric == Digits.metric


def test_every_form_of_the_report_names_the_metric_and_shows_no_negative_accuracy(accuracy: Report) -> None:
    assert f"accuracy {accuracy.metric.text(accuracy.recommended.expected)}" in render_text(accuracy)
    for text in (render_text(accuracy, width=120), *(rendered(accuracy, format=one) for one in ReportFormat)):
        shown = re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", text, flags=re.DOTALL)
        assert not re.search(r"(?<![\w.-])-\d\d\.\d", shown)
        assert "validation loss" not in shown
        assert "accuracy" in shown


def test_the_error_minimized_gives_the_same_trials_and_the_same_recommendation(accuracy: Report) -> None:
    error = tune(DigitsError(), budget=8, search=SEARCH)
    assert without_numbers_of_the_metric(error) == without_numbers_of_the_metric(accuracy)
    for one, other in zip(error.trials, accuracy.trials, strict=True):
        assert [100.0 - run.value for run in one.runs if run.value is not None] == pytest.approx(
            [run.value for run in other.runs if run.value is not None]
        )


def test_a_reward_that_is_never_positive_is_maximized() -> None:
    report = tune(Reward(), budget=16, search=SEARCH)
    values = [run.value for trial in report.trials for run in trial.runs if run.value is not None]
    assert max(values) < 0.0
    expected = [one.expected for one in report.candidates if one.expected is not None]
    assert expected == sorted(expected, reverse=True)
    assert report.recommended.expected is not None
    assert report.incumbent is not None
    assert report.incumbent.expected is not None
    assert report.recommended.expected >= report.incumbent.expected
    assert 0.01 < report.recommended.schedule.peak_lr < 0.1
    assert not isinstance(report.recommended.schedule.family, Constant)
    rendered(report, format=ReportFormat.HTML)
    for comparison in report.comparisons:
        if comparison.gain is not None:
            assert comparison.gain.percent is None


class Accuracy(OpaqueWorkload):
    """Reports an accuracy, and does not say so."""

    name = "undeclared"
    version = "1"
    description = "An accuracy in place of a loss."
    default_steps = 40
    optimizer = OptimizerKind.SGD

    def train(self, run, options):
        for step in (10, 20, 30, 40):
            away = abs(math.log10(run.schedule.peak_lr) + 1)
            run.report(step, value=(0.9 - 0.1 * away) * step / 40)


def test_a_study_of_a_metric_that_training_makes_worse_says_that_it_may_recommend_the_worst():
    report = tune(Accuracy(), budget=3, search={"seed": 1}, device="cpu")
    (sentence,) = (one for one in report.reservations if "recommends the worst" in one)
    assert "rose during 3 of 3 runs" in sentence
    assert sentence in report.summary
