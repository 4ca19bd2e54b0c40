"""What a report says of a longer run."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.report.studies import CONSTANT, LINEAR, study, tried, typical
from tuner.report.build import build_report
from tuner.report.terminal.page import render_text


def test_the_lengths_and_the_range_of_peaks_follow_the_ratio():
    found = build_report(replace(typical(), longer=4.0)).transfer
    assert (found.ratio, found.total_steps) == (4.0, 3_600)
    assert (found.peak_low, found.peak_high) == (0.5, 1.0)


def test_a_decay_keeps_its_shape_and_its_warm_up_is_a_question():
    found = build_report(study(tried(LINEAR, 0.3)))
    words = " ".join(found.transfer.sentences)
    assert "the shape carries over" in words
    assert "Its warm-up would take 135 updates; the 45 that were enough here" in words
    assert "between 2.9e-02 (theory: it falls with the square root of the length) and 5.0e-02 (as it is)" in words
    assert f"`tuner submit --from {found.job_id} --total-steps 2700`" in words


def test_a_constant_rate_can_simply_go_on():
    words = " ".join(build_report(study(tried(CONSTANT, 0.4))).transfer.sentences)
    assert "a constant rate needs no horizon" in words
    assert "warm-up" not in words


def test_it_stands_on_the_screen(report):
    assert "If you train longer" in render_text(report)
