"""What a report tells of a longer run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tuner.report.build import build_report
from tuner.report.report import Report
from tuner.report.terminal.page import render_text
from tuner.schedules import Constant
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Control

RUNGS = (100, 300, 900)
PEAKS = (0.0125, 0.025, 0.05, 0.1, 0.2)


def parabola(peak: float, *, best: float) -> float:
    """Lowest at ``best``, and higher by the square of the distance in factors of two."""
    return 0.3 + 0.02 * math.log2(peak / best) ** 2


def moving(studies, *, best: tuple[float, ...], longer: float = 3.0):
    """A study of linear decays whose best peak is another one at every rung."""
    trials = [
        studies.trial(
            number,
            studies.linear.model_copy(update={"peak_lr": peak}),
            *(parabola(peak, best=rung_best) for rung_best in best),
        )
        for number, peak in enumerate(PEAKS)
    ]
    return replace(studies.result(trials, {2: studies.confirmed(0.31, 0.32, 0.30)}), longer=longer)


def test_the_lengths_and_the_range_of_peaks_follow_the_ratio(studies):
    found = build_report(replace(studies.typical(), longer=4.0)).transfer
    assert (found.ratio, found.total_steps) == (4.0, 3_600)
    assert (found.peak_low, found.peak_high) == (0.5, 1.0)


def test_where_two_rungs_tell_the_best_peak_its_way_is_carried_on(studies):
    found = build_report(moving(studies, best=(0.1, 0.07, 0.05), longer=3.0)).transfer
    assert (found.drift.from_updates, found.drift.to_updates) == (100, 900)
    assert found.drift.factor == pytest.approx(0.5)
    assert found.expected == pytest.approx(0.5**0.5)  # half of the way that was measured, on the scale of lengths
    told = " ".join(found.sentences)
    assert "went by a factor of 0.5 from 100 to 900 updates; carried on, that makes 3.5e-02." in told


def test_trials_with_other_options_say_nothing_of_the_peak(studies):
    result = moving(studies, best=(0.1, 0.07, 0.05))
    others = [
        replace(
            trial,
            number=100 + trial.number,
            configuration=Configuration(schedule=trial.schedule, options=(("width", 8),)),
            losses=tuple(2.0 - loss for loss in trial.losses),
        )
        for trial in result.trials
    ]
    mixed = build_report(replace(result, trials=(*result.trials, *others)))
    alone = build_report(result)
    assert (mixed.transfer, mixed.sensitivities) == (alone.transfer, alone.sensitivities)


@pytest.mark.parametrize("best", [(0.0001, 0.05, 0.9), (9.0, 9.0, 0.05)])
def test_a_best_peak_beyond_what_was_tried_tells_nothing(studies, best):
    found = build_report(moving(studies, best=best)).transfer
    assert (found.drift, found.expected) == (None, None)
    assert not any("In this search" in sentence for sentence in found.sentences)


def test_a_decay_keeps_its_shape_and_its_warm_up_is_a_question(studies):
    words = " ".join(build_report(moving(studies, best=(0.05, 0.05, 0.05))).transfer.sentences)
    assert "the shape carries over" in words
    assert "Its warm-up would take 135 updates; the 45 that were enough here" in words
    assert "between 2.9e-02 (theory: it falls with the square root of the length) and 5.0e-02 (as it is)" in words
    assert "`tuner submit --from JOB --total-steps 2700`" in words


def test_a_constant_rate_can_simply_go_on(studies):
    constant = studies.trial(0, studies.constant, 0.6, 0.5, 0.4, control=Control.CONSTANT)
    words = " ".join(build_report(studies.result([constant], {0: studies.confirmed(0.4, 0.4)})).transfer.sentences)
    assert isinstance(studies.constant.family, Constant)
    assert "a constant rate needs no horizon" in words
    assert "warm-up" not in words


def test_it_stands_on_the_screen(studies):
    assert "If you train longer" in render_text(build_report(studies.typical()))


def test_reports_of_before_have_none(report):
    stored = report.model_dump(mode="json", exclude={"transfer"})
    assert Report.model_validate(stored).transfer is None
