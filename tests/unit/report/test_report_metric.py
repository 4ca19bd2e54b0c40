"""Reports of maximized metrics: the mirror image of a minimized one, in values as people read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tuner.metric import DEFAULT_METRIC, Metric
from tuner.report.build import build_report
from tuner.report.pages.formats import ReportFormat, rendered
from tuner.report.plots.rungs import draw_rungs
from tuner.report.report import Report
from tuner.report.terminal.page import render_text
from tuner.report.wording import sensitivity_sentence

SCORE = Metric(name="score", direction="maximize", unit="%")


def shifted(losses: tuple[float | None, ...], by: float) -> tuple[float | None, ...]:
    return tuple(None if loss is None else loss + by for loss in losses)


@pytest.fixture(scope="module")
def pair(studies) -> tuple[Report, Report]:
    """The typical study as it is, and with each loss read as a score of 100 - loss."""
    result = studies.typical()
    scored = replace(
        result,
        metric=SCORE,
        trials=tuple(replace(trial, losses=shifted(trial.losses, -100.0)) for trial in result.trials),
        confirmations={
            trial: {seed: None if loss is None else loss - 100.0 for seed, loss in by_seed.items()}
            for trial, by_seed in result.confirmations.items()
        },
    )
    return build_report(result), build_report(scored)


def test_ranking_verdicts_wins_and_gains_are_those_of_the_mirrored_losses(pair) -> None:
    loss, score = pair
    assert (loss.metric, score.metric) == (DEFAULT_METRIC, SCORE)
    assert [one.trial for one in score.candidates] == [one.trial for one in loss.candidates]
    assert score.recommended.trial == loss.recommended.trial
    for ours, theirs in zip(score.equivalents.members, loss.equivalents.members, strict=True):
        assert (ours.trial, ours.verdict, ours.wins) == (theirs.trial, theirs.verdict, theirs.wins)
        assert ours.gain.mean == pytest.approx(theirs.gain.mean)
        assert (ours.gain.low, ours.gain.high) == pytest.approx((theirs.gain.low, theirs.gain.high))
    assert score.best_constant.gain.percent == pytest.approx(
        100 * score.best_constant.gain.mean / score.candidate(score.best_constant.trial).mean
    )


def test_values_are_those_that_people_read_and_low_is_the_lowest(pair) -> None:
    loss, score = pair
    for ours, theirs in zip(score.candidates, loss.candidates, strict=True):
        assert ours.median == pytest.approx(100.0 - theirs.median)
        assert (ours.low, ours.high) == pytest.approx((100.0 - theirs.high, 100.0 - theirs.low))
        assert ours.low <= ours.median <= ours.high


def test_the_finding_says_higher_and_differences_of_percentages_are_points(pair) -> None:
    loss, score = pair
    assert "its validation loss is lower than that of the best constant rate" in loss.finding
    assert "its score is higher than that of the best constant rate" in score.finding
    assert " points (" in score.finding
    assert "score 99.71 %" in score.summary[1]


@pytest.mark.parametrize("form", list(ReportFormat))
def test_every_page_is_drawn_and_speaks_of_the_score(pair, form: ReportFormat) -> None:
    page = rendered(pair[1], format=form)
    assert "score" in page
    assert "validation loss" not in page
    assert "-99." not in page


def test_the_terminal_speaks_of_the_score(pair) -> None:
    text = render_text(pair[1])
    assert "score 99.71 %" in text
    assert "validation loss" not in text


def test_the_ladder_has_its_lanes_below_and_is_not_logarithmic(pair) -> None:
    axes = draw_rungs(pair[1]).axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylabel() == "score (%) at the rung's end"
    markers: dict[Any, list[float]] = {}
    for line in axes.lines:
        markers.setdefault(line.get_marker(), []).extend(np.asarray(line.get_ydata(), dtype=float).tolist())
    assert max(markers["X"]) < min(markers["o"])


def test_the_peak_may_be_as_far_off_as_with_mirrored_losses(studies) -> None:
    def sensitivity(*, metric: Metric, sign: float, offset: float):
        peaks = [0.05, 0.1, 0.2, 0.4]
        trials = [
            studies.trial(
                number,
                studies.linear.model_copy(update={"peak_lr": peak}),
                *[sign * (10.0 + abs(number - 1) ** 2) + offset] * 3,
            )
            for number, peak in enumerate(peaks)
        ]
        result = replace(studies.result(trials, {}), metric=metric)
        (found, *_) = build_report(result).sensitivities
        return found

    loss = sensitivity(metric=DEFAULT_METRIC, sign=1.0, offset=0.0)
    score = sensitivity(metric=SCORE, sign=1.0, offset=-20.0)  # a score of 10 where the loss is 10
    assert (score.trial, score.reason) == (loss.trial, None)
    assert score.fit.curvature == pytest.approx(-loss.fit.curvature)
    assert score.below.factor == pytest.approx(loss.below.factor)
    assert score.above.factor == pytest.approx(loss.above.factor)
    assert "before the score falls by" in sensitivity_sentence(score, metric=SCORE)
    assert "before the validation loss rises by" in sensitivity_sentence(loss, metric=DEFAULT_METRIC)
