"""How far the peak may be off, from all runs at the horizon."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.report.studies import LINEAR, WSD, FixedEstimates, at, evidence, study, tried
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.report.analyses.sensitivity import peak_sensitivity
from tuner.report.insights import Tolerance
from tuner.report.wording import sensitivity_basis, sensitivity_sentence
from tuner.schedules import Constant, Schedule

PEAK = 0.1


def losses_of(peaks, *, best=0.3, curvature=0.05):
    """Losses at the horizon on an exact parabola over the logarithm of the peak, lowest at 0.1."""
    return [best + curvature * math.log(peak / PEAK) ** 2 for peak in peaks]


def sensitivity(result, *, noise_std=0.0, trial=0):
    return peak_sensitivity(evidence(result, FixedEstimates({}, noise_std=noise_std)), trial=trial)


def on_parabola(peaks, *, extra=(), **shape):
    return study(
        *(tried(at(WSD, peak), loss) for peak, loss in zip(peaks, losses_of(peaks, **shape), strict=True)), *extra
    )


def test_an_exact_parabola_gives_the_factor_at_which_the_loss_has_risen_by_the_tolerance():
    found = sensitivity(on_parabola([PEAK, 0.03, 0.05, 0.2, 0.3]))
    # One percent of 0.3 is 0.003; 0.05 x^2 = 0.003 at x = 0.244949, exp(0.244949) = 1.27756.
    assert found.reason is None
    assert found.tolerance == pytest.approx(0.003)
    assert found.tolerance_kind is Tolerance.SHARE
    assert found.below.factor == pytest.approx(1.27756, rel=1e-4)
    assert found.above.factor == pytest.approx(1.27756, rel=1e-4)
    assert found.below.reached
    assert found.above.reached
    assert found.fit.r_squared == pytest.approx(1.0)
    assert "A parabola over the logarithm of the peak, through 5 runs of similar shape" in sensitivity_basis(found)


def test_the_noise_over_seeds_is_the_tolerance_where_it_is_measured_and_larger():
    peaks = [PEAK, 0.03, 0.05, 0.2, 0.3]
    trials = [tried(at(WSD, peak), loss, loss) for peak, loss in zip(peaks, losses_of(peaks), strict=True)]
    found = sensitivity(study(*trials), noise_std=0.02)
    assert (found.tolerance, found.tolerance_kind) == (0.02, Tolerance.NOISE)
    assert found.above.factor == pytest.approx(math.exp(math.sqrt(0.02 / 0.05)), rel=1e-4)
    assert sensitivity(on_parabola(peaks), noise_std=0.02).tolerance_kind is Tolerance.SHARE


def test_what_a_seed_adds_to_every_run_does_not_bend_the_parabola():
    peaks = [PEAK, 0.03, 0.05, 0.2, 0.3]
    effects = (0.0, 0.07, -0.04)
    seeds = {0: 3, 1: 1, 2: 2, 3: 1, 4: 3}
    trials = [
        tried(at(WSD, peak), *(loss + effect for effect in effects[: seeds[number]]))
        for number, (peak, loss) in enumerate(zip(peaks, losses_of(peaks), strict=True))
    ]
    found = sensitivity(study(*trials))
    assert found.fit.r_squared == pytest.approx(1.0)
    assert found.fit.constant == pytest.approx(0.3)
    assert found.fit.curvature == pytest.approx(0.05)
    assert len(found.points) == 10
    assert {round(point.value, 9) for point in found.points if point.trial == 0} == {0.3}


def test_a_seed_that_one_schedule_alone_has_shows_nothing_of_the_peak():
    peaks = [PEAK, 0.03, 0.05, 0.2, 0.3]
    losses = losses_of(peaks)
    trials = [tried(at(WSD, peak), loss) for peak, loss in zip(peaks[1:], losses[1:], strict=True)]
    found = sensitivity(study(tried(at(WSD, PEAK), losses[0], 9.0), *trials))
    assert len(found.points) == 5
    assert found.fit.constant == pytest.approx(0.3)


def test_a_limit_beyond_what_was_tried_is_at_least_so_far():
    found = sensitivity(on_parabola([PEAK, 0.05, 0.07, 0.11], curvature=0.01))
    assert found.above.factor == pytest.approx(1.1)
    assert not found.above.reached
    assert "at least 1.1 times higher" in sensitivity_sentence(found, metric=DEFAULT_METRIC)


def test_where_no_lower_peak_was_tried_there_is_no_limit_below():
    found = sensitivity(on_parabola([PEAK, 0.13, 0.2, 0.3]))
    assert found.below is None
    assert "lower by an unknown factor (no lower one was tried)" in sensitivity_sentence(found, metric=DEFAULT_METRIC)


def test_no_limit_reaches_beyond_a_peak_at_which_the_shape_diverged():
    found = sensitivity(on_parabola([PEAK, 0.03, 0.05, 0.2, 0.3], curvature=0.005, extra=[tried(at(WSD, 0.12), None)]))
    assert found.diverged_from == 0.12
    assert found.above.factor == pytest.approx(1.2)
    assert "A schedule of this shape diverged at a peak of 1.2e-01." in sensitivity_basis(found)


def test_schedules_of_another_shape_a_far_peak_or_other_options_do_not_take_part():
    others = [
        tried(Schedule(peak_lr=0.1, family=Constant()), 9.0),
        tried(at(WSD, 0.6), 9.0),
        tried(at(WSD, 0.1), 9.0, options={"width": 8}),
    ]
    found = sensitivity(on_parabola([PEAK, 0.03, 0.05, 0.2, 0.3], extra=others))
    assert len(found.points) == 5
    assert found.fit.r_squared == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("peaks", "losses", "reason"),
    [
        ([0.1, 0.05], [0.3, 0.31], "this job has 2 with 2"),
        ([0.1, 0.11, 0.12, 0.13], [0.3] * 4, "the highest at least 2 times the lowest"),
        ([0.1, 0.05, 0.2, 0.3], [0.3, 0.2, 0.29, 0.2], "does not worsen on both sides"),
        ([0.1, 0.05, 0.2, 0.3, 0.04], [0.3, 0.3, 0.3, 0.3, 0.3], "does not worsen on both sides"),
        ([0.1, 0.05, 0.07, 0.2, 0.3, 0.15], [0.3, 0.38, 0.29, 0.3, 0.33, 0.39], "the results scatter"),
    ],
)
def test_where_there_is_too_little_the_reason_is_said(peaks, losses, reason):
    found = sensitivity(study(*(tried(at(WSD, peak), loss) for peak, loss in zip(peaks, losses, strict=True))))
    assert (found.tolerance, found.below, found.above) == (None, None, None)
    assert reason in sensitivity_sentence(found, metric=DEFAULT_METRIC)


def test_a_maximized_metric_gives_the_same_limits_as_its_losses():
    peaks = [0.05, 0.1, 0.2, 0.4]
    losses = [10.0 + abs(number - 1) ** 2 for number in range(4)]
    minimized = study(*(tried(at(LINEAR, peak), loss) for peak, loss in zip(peaks, losses, strict=True)))
    shifted = study(*(tried(at(LINEAR, peak), loss - 20.0) for peak, loss in zip(peaks, losses, strict=True)))
    metric = Metric(name="score", direction="maximize")
    maximized = replace(shifted, state=replace(shifted.state, metric=metric))  # a score of 10 where the loss is 10
    loss, score = (sensitivity(result, trial=1) for result in (minimized, maximized))
    assert (score.reason, loss.reason) == (None, None)
    assert score.fit.curvature == pytest.approx(-loss.fit.curvature)
    assert score.below.factor == pytest.approx(loss.below.factor)
    assert score.above.factor == pytest.approx(loss.above.factor)
    assert "before the score falls by" in sensitivity_sentence(score, metric=metric)
    assert "before the validation loss rises by" in sensitivity_sentence(loss, metric=DEFAULT_METRIC)


@settings(max_examples=50, deadline=None)
@given(
    optimum=st.floats(0.06, 0.16),
    curvature=st.floats(0.01, 1.0),
    others=st.lists(st.floats(0.025, 0.4), min_size=4, max_size=8, unique_by=lambda peak: round(peak, 3)),
)
def test_on_any_parabola_the_limits_lie_where_it_is_higher_by_the_tolerance(optimum, curvature, others):
    def loss(peak):
        return 0.3 + curvature * math.log(peak / optimum) ** 2

    peaks = [PEAK, *others]
    found = sensitivity(study(*(tried(at(WSD, peak), loss(peak)) for peak in peaks)))
    if found.reason is not None:
        assert max(peaks) < 2.0 * min(peaks) or "scatter" in found.reason
        return
    for limit, place in ((found.below, lambda factor: PEAK / factor), (found.above, lambda factor: PEAK * factor)):
        if limit is not None and limit.reached:
            assert loss(place(limit.factor)) == pytest.approx(loss(PEAK) + found.tolerance, rel=1e-3)
        if limit is not None:
            assert min(peaks) * 0.999 <= place(limit.factor) <= max(peaks) * 1.001
