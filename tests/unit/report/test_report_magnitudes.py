"""Losses of any size: the report says the same of them, in numbers that show their digits."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.unit.report.studies import BARE, LINEAR, study, tried, typical
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.report.build import build_report
from tuner.report.pages.markdown import markdown_page
from tuner.report.report import Gain, Report
from tuner.report.study_result import StudyResult
from tuner.report.terminal.page import render_text
from tuner.report.wording import gain_text, gain_with_interval, interval_text, percent_text

USUAL = build_report(typical())


def scaled(result: StudyResult, factor: float) -> StudyResult:
    """The study with all losses multiplied."""
    runs = tuple(
        replace(run, loss=None if run.loss is None else factor * run.loss, std=factor * run.std)
        for run in result.state.runs
    )
    histories = []
    for one in result.histories:
        assert one.check is not None
        check, was = one.check, one.check.forecast
        forecast = replace(
            was, mean=factor * was.mean, std=factor * was.std, low=factor * was.low, high=factor * was.high
        )
        leader = replace(check.leader, mean=factor * check.leader.mean, std=factor * check.leader.std)
        points = tuple(replace(point, val_loss=factor * point.val_loss) for point in one.points)
        check = replace(check, forecast=forecast, leader=leader, margin=factor * check.margin)
        histories.append(replace(one, points=points, check=check))
    margin = None if result.state.margin is None else factor * result.state.margin
    return replace(result, state=replace(result.state, runs=runs, margin=margin), histories=tuple(histories))


@pytest.fixture(scope="module", params=[1e-200, 1e-30, 1e-11, 1e9, 1e30, 1e200, 1e300])
def report(request: pytest.FixtureRequest) -> Report:
    return build_report(scaled(typical(), request.param))


def test_verdicts_and_relative_gains_do_not_depend_on_the_size_of_the_losses(report: Report):
    assert [one.verdict for one in report.comparisons] == [one.verdict for one in USUAL.comparisons]
    assert report.recommended.trial == USUAL.recommended.trial
    for one, usual in zip(report.comparisons, USUAL.comparisons, strict=True):
        if one.gain is not None and usual.gain is not None:
            assert one.gain.percent == pytest.approx(usual.gain.percent, rel=1e-6)


def test_every_gain_shows_its_digits(report: Report):
    for one in report.comparisons:
        if one.gain is not None:
            low, high = interval_text(one.gain).split(" to ")
            half = (one.gain.high - one.gain.low) / 2
            for text, value in ((gain_text(one.gain), one.gain.mean), (low, one.gain.low), (high, one.gain.high)):
                assert float(text) == pytest.approx(value, abs=0.06 * half)
                assert len(text) < 20


def test_no_page_shows_zeros_in_place_of_a_small_number(report: Report):
    for page in (render_text(report, width=200), markdown_page(report)):
        assert not re.search(r"0\.0000", page)
        assert not re.search(r"\d{10}", page.replace(report.job_id, ""))


@pytest.mark.parametrize(
    ("mean", "low", "high", "text"),
    [
        (3.21e-11, 2.1e-11, 4.3e-11, "+3.2e-11 (+2.1e-11 to +4.3e-11)"),
        (3.21e-11, 3.19e-11, 3.23e-11, "+3.210e-11 (+3.190e-11 to +3.230e-11)"),
        (-2e-12, -3.04e-11, 2.64e-11, "-2e-12 (-3.0e-11 to +2.6e-11)"),
        (0.0123, 0.0012, 0.0234, "+0.012 (+0.001 to +0.023)"),
        (3.2e7, 2.1e7, 4.3e7, "+3.2e+07 (+2.1e+07 to +4.3e+07)"),
        (0.0, 0.0, 0.0, "+0.0 (+0.0 to +0.0)"),
    ],
)
def test_a_number_has_the_digits_that_its_interval_supports(mean: float, low: float, high: float, text: str):
    gain = Gain(mean=mean, low=low, high=high, percent=None, steps=None)
    assert f"{gain_text(gain)} ({interval_text(gain)})" == text


@pytest.mark.parametrize(
    ("percent", "text"), [(12.34, "12.3 %"), (0.0004, "0.0004 %"), (0.0, "0.0 %"), (3e9, "3e+09 %")]
)
def test_a_share_shows_its_digits_too(percent: float, text: str):
    gain = Gain(mean=1.0, low=0.9, high=1.1, percent=percent, steps=None)
    assert percent_text(gain, metric=DEFAULT_METRIC) == text


def test_a_gain_in_points_has_no_share_that_would_be_taken_for_points():
    accuracy = Metric(name="accuracy", direction="maximize", unit="%")
    gain = Gain(mean=2.4, low=1.9, high=2.9, percent=2.54, steps=None)
    assert gain_with_interval(gain, metric=accuracy) == "2.40 points (95 % interval of the gain +1.90 to +2.90)"
    assert percent_text(gain, metric=accuracy) == ""


@pytest.mark.parametrize(
    "result", [study(tried(LINEAR, 0.3), budget=1), study(tried(LINEAR, 0.3), tried(BARE), seeds=1, budget=2)]
)
def test_where_there_is_nothing_to_compare_no_number_is_made_up(result: StudyResult):
    found = build_report(result)
    for page in (render_text(found, width=200), markdown_page(found)):
        assert not re.search(r"\b(inf|nan|None)\b", page)
