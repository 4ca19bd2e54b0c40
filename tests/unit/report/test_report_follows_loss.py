"""A report that recommends a schedule which follows the loss: drawn as its run had it, and with what limits that."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.report.studies import DEFAULT, SEEDS, STEPS, evaluations, study, tried, with_curves
from tuner.report.build import build_report
from tuner.report.plots.schedules import draw_schedules
from tuner.report.report import Report
from tuner.report.terminal.chart import draw_schedule
from tuner.report.terminal.page import render_text
from tuner.schedules import ReduceOnPlateau, Schedule
from tuner.search.decision.decisions import Role

FOLLOWS = Schedule(peak_lr=0.05, family=ReduceOnPlateau(factor=0.5, patience=0))
LOSSES = [1.0, 0.8, 0.6, 0.6, 0.5, 0.4, 0.4, 0.4, 0.3, 0.25, 0.2]


@pytest.fixture(scope="module")
def report() -> Report:
    result = study(tried(DEFAULT, 0.5, 0.52, 0.51, role=Role.INCUMBENT), tried(FOLLOWS, 0.2, 0.21, 0.2))
    curves = {(1, seed): evaluations(*LOSSES) for seed in SEEDS[:3]}
    return build_report(with_curves(result, curves))


def test_its_rates_are_those_of_the_first_run(report: Report):
    assert report.recommended.schedule == FOLLOWS
    losses = report.losses_of(report.recommended.trial)
    assert losses == tuple((point.step, point.val_loss) for point in evaluations(*LOSSES))
    rates = FOLLOWS.lrs(STEPS, losses=losses)
    assert np.unique(rates).size == 4
    (line,) = (line for line in draw_schedules(report).axes[0].lines if str(line.get_label()).startswith("recommended"))
    np.testing.assert_array_equal(line.get_ydata(), rates)


def test_the_terminal_draws_what_its_run_trained_with(report: Report):
    losses = report.losses_of(report.recommended.trial)
    drawn = draw_schedule(FOLLOWS, total_steps=STEPS, width=78, height=13, losses=losses)
    page = render_text(report)
    assert all(line in page for line in drawn.splitlines()[:-1])
    assert drawn != draw_schedule(FOLLOWS, total_steps=STEPS, width=78, height=13)


def test_a_trial_without_a_curve_has_no_losses(report: Report):
    assert report.losses_of(0) == ()


def test_it_says_that_every_run_has_rates_of_its_own(report: Report):
    text = " ".join(render_text(report).split())
    assert "The recommended schedule follows the loss: each run has rates of its own" in text
    assert "evaluate as often as the runs of this job did" in text
    assert "scheduler.observe(val_loss)" in text
    assert "the rates follow the loss there too" in text


def test_no_advice_is_drawn_from_a_decay_that_it_does_not_have(report: Report):
    assert {one.code for one in report.advice}.isdisjoint({"decay_to_zero", "decay_earlier"})
