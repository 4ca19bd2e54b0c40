"""Reports of maximized metrics: the mirror image of a minimized one, in values as people read them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.report.studies import LINEAR, SEEDS, STEPS, at, evaluations, study, tried, typical
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.report.build import build_report
from tuner.report.pages.formats import ReportFormat, rendered
from tuner.report.plots.curves import draw_curves
from tuner.report.report import Report, Rival, Verdict
from tuner.report.study_result import RunHistory, StudyResult
from tuner.report.terminal.page import render_text

SCORE = Metric(name="score", direction="maximize", unit="%")


def scored(result: StudyResult) -> StudyResult:
    """The study with each loss read as a score of 100 - loss."""
    runs = tuple(run if run.loss is None else replace(run, loss=run.loss - 100.0) for run in result.state.runs)
    histories = []
    for one in result.histories:
        assert one.check is not None
        check, was = one.check, one.check.forecast
        forecast = replace(was, mean=was.mean - 100.0, low=was.low - 100.0, high=was.high - 100.0)
        leader = replace(check.leader, mean=check.leader.mean - 100.0)
        points = tuple(replace(point, val_loss=point.val_loss - 100.0) for point in one.points)
        histories.append(replace(one, points=points, check=replace(check, forecast=forecast, leader=leader)))
    return replace(result, state=replace(result.state, metric=SCORE, runs=runs), histories=tuple(histories))


@pytest.fixture(scope="module")
def pair() -> tuple[Report, Report]:
    """The typical study as it is, and its mirror image."""
    return build_report(typical()), build_report(scored(typical()))


def test_order_verdicts_and_gains_are_those_of_the_mirrored_losses(pair) -> None:
    loss, score = pair
    assert (loss.metric, score.metric) == (DEFAULT_METRIC, SCORE)
    assert [one.trial for one in score.candidates] == [one.trial for one in loss.candidates]
    assert score.recommended.trial == loss.recommended.trial
    for ours, theirs in zip(score.comparisons, loss.comparisons, strict=True):
        assert (ours.trial, ours.best, ours.verdict) == (theirs.trial, theirs.best, theirs.verdict)
        assert ours.gain.mean == pytest.approx(theirs.gain.mean, rel=1e-6)
        assert (ours.gain.low, ours.gain.high) == pytest.approx((theirs.gain.low, theirs.gain.high), rel=1e-6)


def test_values_are_those_that_people_read_and_low_is_the_lowest(pair) -> None:
    loss, score = pair
    for ours, theirs in zip(score.candidates, loss.candidates, strict=True):
        assert ours.mean == pytest.approx(100.0 - theirs.mean)
        assert (ours.low, ours.high) == pytest.approx((100.0 - theirs.high, 100.0 - theirs.low), rel=1e-6)
        assert ours.low <= ours.expected <= ours.high


def test_the_finding_says_higher_and_differences_of_percentages_are_points(pair) -> None:
    loss, score = pair
    assert loss.comparison(Rival.INCUMBENT).verdict is Verdict.HELPS
    assert "has a lower validation loss than the usual default" in loss.finding
    assert "has a higher score than the usual default" in score.finding
    assert " points (" in score.finding
    assert "expected score 99.7" in score.summary[1]


@pytest.mark.parametrize("form", list(ReportFormat))
def test_every_page_is_drawn_and_speaks_of_the_score(pair, form: ReportFormat) -> None:
    page = rendered(pair[1], format=form)
    assert "score" in page
    assert "validation loss" not in page
    assert "-99." not in page


def test_the_terminal_speaks_of_the_score(pair) -> None:
    text = render_text(pair[1])
    assert "expected score 99.7" in text
    assert "validation loss" not in text


def test_steps_are_not_told_of_a_maximized_metric(pair) -> None:
    assert all(one.gain.steps is None for one in pair[1].comparisons)


def test_curves_of_scores_are_drawn_upright_on_a_linear_scale(pair) -> None:
    axes = draw_curves(pair[1]).axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylabel() == "score (%)"
    low, high = axes.get_ylim()
    assert low < high
    assert axes.get_xlim() == (0.0, STEPS)


class TestTheDirection:
    """A metric that training makes worse in nearly all runs may be declared the wrong way round."""

    def found(self, *curves: tuple[float, ...], metric: Metric = DEFAULT_METRIC) -> list[str]:
        losses = [[metric.loss(value) for value in curve] for curve in curves]
        peaks = [0.01 * (1 + place) for place in range(len(curves))]
        result = study(*(tried(at(LINEAR, peak), one[-1]) for peak, one in zip(peaks, losses, strict=True)))
        histories = tuple(
            RunHistory(trial=place, seed=SEEDS[0], steps=STEPS, points=evaluations(*one))
            for place, one in enumerate(losses)
        )
        result = replace(result, state=replace(result.state, metric=metric), histories=histories)
        return [one for one in build_report(result).reservations if "recommends the worst" in one]

    def test_an_accuracy_that_was_fed_as_a_loss_is_doubted(self):
        (sentence,) = self.found((0.1, 0.5, 0.91), (0.1, 0.4, 0.86), (0.1, 0.3, 0.88))
        assert sentence.startswith("The validation loss rose during 3 of 3 runs. If higher values are better")
        assert 'direction="maximize"' in sentence

    def test_a_loss_that_was_declared_maximized_is_doubted(self):
        (sentence,) = self.found((2.3, 0.5), (2.3, 0.4), metric=SCORE)
        assert sentence.startswith("The score fell during 2 of 2 runs. If lower values are better")

    @pytest.mark.parametrize("curves", [((2.3, 0.5), (2.3, 0.4)), ((0.5, 0.9), (2.3, 0.4), (2.3, 0.3)), ((0.5, 0.9),)])
    def test_a_loss_that_falls_or_one_run_that_overfits_is_not(self, curves: tuple[tuple[float, ...], ...]):
        assert not self.found(*curves)
