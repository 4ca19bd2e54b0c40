"""What the report says of pruning on the raw loss."""

from __future__ import annotations

from tests.unit.report.studies import DEFAULT, LINEAR, SEEDS, STEPS, WSD, evaluations, study, tried, with_curves
from tuner.report.analyses.raw_pruning import raw_pruning_sentence
from tuner.report.study_result import StudyResult

HELD = (2.0, 1.2, 1.1, 0.3)
"""High until its decay, and then the lowest."""
FALLING = (2.0, 0.9, 0.5, 0.4)


def studied(*curves: tuple[float, ...]) -> StudyResult:
    schedules = (DEFAULT, LINEAR, WSD, DEFAULT.model_copy(update={"peak_lr": 0.2}))
    found = study(*(tried(schedule, curve[-1]) for schedule, curve in zip(schedules, curves, strict=False)))
    points = {(trial, SEEDS[0]): evaluations(*curve) for trial, curve in enumerate(curves)}
    return with_curves(found, points)


def test_a_schedule_that_looks_bad_until_it_decays_would_have_been_stopped() -> None:
    sentence = raw_pruning_sentence(studied(FALLING, FALLING, HELD), recommended=2)
    assert f"1 of the 3 schedules that were trained to the end, the recommended one at update {STEPS // 3}" in sentence


def test_a_schedule_that_is_ahead_all_the_way_would_not() -> None:
    sentence = raw_pruning_sentence(studied(HELD, HELD, FALLING), recommended=2)
    assert "0 of the 3 schedules" in sentence
    assert "recommended" not in sentence


def test_the_first_two_are_never_stopped_and_few_curves_say_nothing() -> None:
    assert raw_pruning_sentence(studied(FALLING, HELD), recommended=1) == ""
    assert raw_pruning_sentence(study(tried(DEFAULT, 0.3), tried(LINEAR, 0.2), tried(WSD, 0.1)), recommended=2) == ""
