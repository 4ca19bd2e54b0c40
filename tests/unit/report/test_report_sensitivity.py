from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.metric import DEFAULT_METRIC
from tuner.report.build import build_report
from tuner.report.insights import Tolerance
from tuner.report.wording import sensitivity_basis, sensitivity_sentence
from tuner.search.decision.decisions import Control, TrialStatus

PEAK = 0.1


def losses_of(peaks, *, best=0.3, curvature=0.05):
    """Losses at the horizon on an exact parabola over the logarithm of the peak, lowest at 0.1."""
    return [best + curvature * math.log(peak / PEAK) ** 2 for peak in peaks]


def study(studies, peaks, losses, *, confirmed=(0.3, 0.3, 0.3), rungs=3, extra=()):
    """Trials of one shape; the first is the best. Those of fewer rungs were pruned there."""
    trials = [
        studies.trial(
            number,
            studies.wsd.model_copy(update={"peak_lr": peak}),
            *[loss] * (3 if number == 0 else rungs),
            status=TrialStatus.COMPLETED if number == 0 or rungs == 3 else TrialStatus.PRUNED,
        )
        for number, (peak, loss) in enumerate(zip(peaks, losses, strict=True))
    ]
    return studies.result([*trials, *extra], {0: studies.confirmed(*confirmed)})


def sensitivity(result):
    return build_report(result).sensitivities[0]


def test_an_exact_parabola_gives_the_factor_at_which_the_loss_has_risen_by_the_tolerance(studies):
    peaks = [PEAK, 0.03, 0.05, 0.2, 0.3]
    found = sensitivity(study(studies, peaks, losses_of(peaks)))
    # One percent of 0.3 is 0.003; 0.05 x^2 = 0.003 at x = 0.244949, exp(0.244949) = 1.27756.
    assert found.reason is None
    assert found.tolerance == pytest.approx(0.003)
    assert found.tolerance_kind is Tolerance.SHARE
    assert found.below.factor == pytest.approx(1.27756, rel=1e-4)
    assert found.above.factor == pytest.approx(1.27756, rel=1e-4)
    assert found.below.reached
    assert found.above.reached
    assert found.fit.r_squared == pytest.approx(1.0)


def test_the_noise_over_seeds_is_the_tolerance_where_it_is_larger(studies):
    peaks = [PEAK, 0.03, 0.05, 0.2, 0.3]
    found = sensitivity(study(studies, peaks, losses_of(peaks), confirmed=(0.28, 0.30, 0.32)))
    assert found.tolerance == pytest.approx(0.02)  # the sample standard deviation of these three
    assert found.tolerance_kind is Tolerance.NOISE
    assert found.above.factor == pytest.approx(math.exp(math.sqrt(0.02 / 0.05)), rel=1e-4)


def test_a_limit_beyond_what_was_tried_is_told_as_at_least(studies):
    peaks = [PEAK, 0.05, 0.07, 0.11]
    found = sensitivity(study(studies, peaks, losses_of(peaks, curvature=0.01)))
    assert found.above.factor == pytest.approx(1.1)
    assert not found.above.reached
    assert "at least 1.1 times higher" in sensitivity_sentence(found, metric=DEFAULT_METRIC)


def test_where_no_lower_peak_was_tried_there_is_no_limit_below(studies):
    peaks = [PEAK, 0.15, 0.2, 0.4]
    found = sensitivity(study(studies, peaks, losses_of(peaks)))
    assert found.below is None
    assert "no lower one was tried" in sensitivity_sentence(found, metric=DEFAULT_METRIC)


def test_no_limit_reaches_beyond_a_peak_at_which_the_shape_diverged(studies):
    peaks = [PEAK, 0.03, 0.05, 0.2, 0.3]
    broken = studies.trial(9, studies.wsd.model_copy(update={"peak_lr": 0.11}), None, status=TrialStatus.PRUNED)
    found = sensitivity(study(studies, peaks, losses_of(peaks), extra=[broken]))
    assert found.diverged_from == 0.11
    assert found.above.factor == pytest.approx(1.1)
    assert "diverged at a peak of 1.1e-01" in sensitivity_basis(found, rung_steps=(100, 300, 900))


def test_the_highest_rung_with_enough_trials_is_taken(studies):
    peaks = [PEAK, 0.03, 0.05, 0.2, 0.3]
    assert sensitivity(study(studies, peaks, losses_of(peaks), rungs=2)).rung == 1
    assert sensitivity(study(studies, peaks, losses_of(peaks))).rung == 2


def test_schedules_of_another_shape_or_a_far_peak_do_not_take_part(studies):
    peaks = [PEAK, 0.03, 0.05, 0.2, 0.3, 0.001]
    others = [studies.trial(9, studies.constant, 9.0, 9.0, 9.0, control=Control.CONSTANT)]
    found = sensitivity(study(studies, peaks, losses_of(peaks), extra=others))
    assert [point.trial for point in found.points] == [1, 2, 0, 3, 4]


@pytest.mark.parametrize(
    ("peaks", "losses", "reason"),
    [
        ([0.1, 0.05, 0.2], [0.3, 0.4, 0.4], "the most at one rung are 3"),
        ([0.1, 0.11, 0.12, 0.13], [0.3, 0.4, 0.4, 0.5], "at least 2 times the lowest"),
        ([0.1, 0.05, 0.2, 0.3], [0.4, 0.3, 0.3, 0.2], "does not worsen on both sides"),
        ([0.1, 0.03, 0.05, 0.2, 0.3, 0.4], [0.3, 0.5, 0.2, 0.5, 0.2, 0.5], "the results scatter"),
        ([0.1, 0.05, 0.2, 0.3], [0.3, 0.3, 0.3, 0.3], "does not worsen on both sides"),
    ],
)
def test_where_there_is_too_little_the_reason_is_told(studies, peaks, losses, reason):
    found = sensitivity(study(studies, peaks, losses))
    assert found.below is None
    assert found.above is None
    assert reason in found.reason
    assert reason in sensitivity_sentence(found, metric=DEFAULT_METRIC)


def test_the_recommended_schedule_has_its_own_when_it_is_not_the_best(report):
    assert [one.trial for one in report.sensitivities] == [report.best.trial, report.recommended.trial]


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0.02, 0.5),
    st.floats(0.01, 1.0),
    st.lists(st.floats(0.021, 0.45), min_size=4, max_size=8, unique=True),
)
def test_on_any_parabola_the_limits_lie_where_it_is_higher_by_the_tolerance(studies, optimum, curvature, others):
    peaks = [PEAK, *others]
    losses = [1.0 + curvature * math.log(peak / optimum) ** 2 for peak in peaks]
    found = sensitivity(study(studies, peaks, losses))
    for limit, sign in ((found.below, -1), (found.above, 1)):
        if limit is None or not limit.reached:
            continue
        there = 1.0 + curvature * (math.log(PEAK / optimum) + sign * math.log(limit.factor)) ** 2
        assert there - losses[0] == pytest.approx(found.tolerance, rel=1e-3)
