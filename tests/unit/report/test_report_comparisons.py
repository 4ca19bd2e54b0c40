"""What is claimed of the rivals: only what an interval shows, each with its size, and nothing from noise."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.report.studies import (
    BARE,
    CONSTANT,
    DEFAULT,
    LINEAR,
    WARMUP,
    WSD,
    FixedEstimates,
    Stop,
    Tried,
    at,
    evidence,
    study,
    tried,
)
from tuner.report.comparisons.compare import compare_with_rivals, runs_to_settle
from tuner.report.comparisons.exploration import MIN_PEAKS
from tuner.report.report import Comparison, Rival, Verdict
from tuner.report.wording import MOST_RUNS
from tuner.search.decision.decisions import Role
from tuner.search.decision.estimates import Difference

INCUMBENT = tried(DEFAULT, 0.3, 0.3, role=Role.INCUMBENT)
MARGIN = 0.01


def against(
    rival: Rival, *trials: Tried, gains: dict[int, tuple[float, float, float]], recommended: int = 0, **search: Any
) -> Comparison:
    """The comparison with a rival; trial 0 is what the gains are over."""
    estimates = FixedEstimates(gains, margin=MARGIN, recommended=recommended)
    found = compare_with_rivals(evidence(study(*trials, **search), estimates))
    return next(one for one in found if one.rival is rival)


def incumbent(*trials: Tried, gains: dict[int, tuple[float, float, float]], recommended: int = 0) -> Comparison:
    return against(Rival.INCUMBENT, INCUMBENT, *trials, gains=gains, recommended=recommended)


class TestVerdicts:
    def test_an_interval_above_zero_helps_and_the_size_is_said(self):
        found = incumbent(tried(WSD, 0.27, 0.27), gains={1: (0.03, 0.02, 0.04)}, recommended=1)
        assert (found.verdict, found.worth_it, found.cost_to_settle) == (Verdict.HELPS, True, None)
        assert found.sentence == (
            "It helps: wsd 1-sqrt cooldown 40 %, peak 1.0e-01, warm-up 5 % has a lower validation loss than the usual "
            "default (cosine, peak 5.0e-02, warm-up 5 %), by 0.030 (10.0 %; 95 % interval of the gain +0.020 to "
            "+0.040)."
        )

    def test_a_gain_that_is_real_but_below_the_margin_is_called_so(self):
        found = incumbent(tried(WSD, 0.29, 0.29), gains={1: (0.006, 0.002, 0.009)}, recommended=1)
        assert (found.verdict, found.worth_it) == (Verdict.HELPS, False)
        assert (
            "It helps, but by less than is worth a change, 0.01 (a tenth of the spread over seeds):" in found.sentence
        )

    def test_intervals_below_the_margin_show_that_it_does_not_help(self):
        gains = {1: (-0.01, -0.02, 0.005), 2: (-0.03, -0.04, -0.02), 3: (-0.03, -0.04, -0.02)}
        others = (tried(WSD, 0.31, 0.31), tried(LINEAR, 0.33, 0.33), tried(at(LINEAR, 0.02), 0.33))
        found = incumbent(*others, gains=gains)
        assert (found.verdict, found.best, found.cost_to_settle) == (Verdict.DOES_NOT_HELP, 1, None)
        assert found.sentence.startswith("A change from the usual default does not help: no other schedule that was")
        assert "has a higher validation loss by 0.010" in found.sentence

    def test_one_other_schedule_that_is_no_better_says_little_of_all_others(self):
        found = incumbent(tried(WSD, 0.31, 0.31), gains={1: (-0.01, -0.02, 0.005)})
        assert (found.verdict, found.cost_to_settle) == (Verdict.NOT_SETTLED, 2.0)
        assert ", but of other schedules one peak alone was tried. To settle it" in found.sentence

    def test_one_schedule_that_may_still_be_better_by_the_margin_leaves_it_open(self):
        gains = {1: (0.001, -0.003, 0.005), 2: (-0.01, -0.05, 0.03)}
        found = incumbent(tried(WSD, 0.30, 0.30), tried(LINEAR, 0.31), gains=gains)
        assert (found.verdict, found.best) == (Verdict.NOT_SETTLED, 1)

    def test_noise_settles_nothing_and_says_what_it_would_cost_to_know(self):
        found = incumbent(tried(WSD, 0.29, 0.29), gains={1: (0.012, -0.01, 0.034)}, recommended=1)
        assert (found.verdict, found.worth_it) == (Verdict.NOT_SETTLED, True)
        assert found.cost_to_settle == 30.0
        assert "is not settled: wsd" in found.sentence
        assert "To settle it would probably take about 30 further full runs." in found.sentence
        assert "does not help" not in found.sentence

    def test_what_nothing_affordable_settles_is_said_to_be_so(self):
        found = incumbent(tried(WSD, 0.3, 0.3), gains={1: (0.0051, -0.03, 0.04)}, recommended=1)
        assert (found.verdict, found.cost_to_settle) == (Verdict.NOT_SETTLED, None)
        assert "more than 100 further full runs" in found.sentence

    def test_without_a_second_seed_a_claim_is_said_to_be_unconfirmed(self):
        trials = (tried(DEFAULT, 0.3, role=Role.INCUMBENT), *(tried(at(WSD, 0.1 + n / 100), 0.2) for n in range(7)))
        gains = {1: (0.1, 0.05, 0.15)}
        found = against(Rival.INCUMBENT, *trials, gains=gains, recommended=1)
        assert found.verdict is Verdict.HELPS
        assert found.sentence.endswith("No schedule was trained on a second seed: this is not confirmed.")
        fewer = against(Rival.INCUMBENT, *trials[:-1], gains=gains, recommended=1)
        assert fewer.verdict is Verdict.NOT_SETTLED
        assert "so few runs on one seed do not show how much of that is noise" in fewer.sentence


class TestRivals:
    def test_the_incumbent_that_was_named_is_what_is_used_today(self):
        trials = (tried(DEFAULT, 0.3, 0.3, role=Role.INCUMBENT), tried(WSD, 0.27, 0.27))
        found = against(Rival.INCUMBENT, *trials, gains={1: (0.03, 0.02, 0.04)}, recommended=1, incumbent=DEFAULT)
        assert found.name == "what you use today"

    def test_where_the_rival_itself_is_recommended_the_best_other_is_compared(self):
        gains = {1: (-0.02, -0.03, -0.01), 2: (-0.01, -0.02, 0.005)}
        found = incumbent(tried(WSD, 0.32, 0.32), tried(LINEAR, 0.31, 0.31), gains=gains, recommended=0)
        assert (found.trial, found.best) == (0, 2)

    def test_a_rival_that_was_never_trained_leaves_it_open_and_one_or_two_runs_would_tell(self):
        found = against(Rival.CONSTANT, INCUMBENT, gains={})
        assert (found.verdict, found.trial, found.gain) == (Verdict.NOT_SETTLED, None, None)
        assert found.sentence == (
            "Whether a schedule helps is not settled: no constant rate without warm-up was trained to the end, so "
            "nothing is claimed. One or two full runs would tell."
        )

    def test_a_constant_rate_with_a_warm_up_is_no_plain_one(self):
        warmed = CONSTANT.model_copy(update={"warmup": WARMUP})
        found = against(Rival.CONSTANT, INCUMBENT, tried(warmed, 0.5, 0.5), gains={1: (-0.2, -0.3, -0.1)})
        assert (found.verdict, found.trial) == (Verdict.NOT_SETTLED, None)
        assert "constant rates were trained with a warm-up alone" in found.sentence

    def test_the_best_constant_rate_by_expectation_is_the_rival(self):
        constants = (tried(CONSTANT, 0.4, 0.4), tried(at(CONSTANT, 0.05), 0.38, 0.38), tried(at(CONSTANT, 0.2), 0.5))
        gains = {1: (-0.1, -0.12, -0.08), 2: (-0.08, -0.1, -0.06), 3: (-0.2, -0.3, -0.1)}
        found = against(Rival.CONSTANT, INCUMBENT, *constants, gains=gains)
        assert (found.trial, found.verdict, found.label) == (2, Verdict.HELPS, "constant, peak 5.0e-02")
        assert found.sentence.startswith("A schedule helps here: cosine")

    def test_few_peaks_of_a_rival_limit_the_claim_to_what_was_tried(self):
        found = against(Rival.CONSTANT, INCUMBENT, tried(CONSTANT, 0.4, 0.4), gains={1: (-0.1, -0.12, -0.08)})
        assert found.sentence.startswith("As far as was tried, a schedule helps here:")

    def test_whether_a_warm_up_is_needed_is_said_of_the_best_schedule_without_one(self):
        gains = {1: (0.001, -0.002, 0.004), 2: (-0.01, -0.02, 0.0), 3: (-0.01, -0.02, 0.0)}
        warmed = (tried(WSD, 0.31, 0.31), tried(at(LINEAR, 0.02), 0.31, 0.31))
        found = against(Rival.NO_WARMUP, INCUMBENT, tried(BARE, 0.3, 0.3), *warmed, gains=gains)
        assert (found.trial, found.best, found.verdict) == (1, 0, Verdict.DOES_NOT_HELP)
        assert found.sentence.startswith("You need no warm-up here: no other schedule with a warm-up that was trained")

    def test_an_incumbent_that_diverged_is_beaten_by_one_that_did_not(self):
        trials = (tried(WSD, 0.3, 0.3), tried(DEFAULT, 0.3, None, role=Role.INCUMBENT))
        found = against(Rival.INCUMBENT, *trials, gains={})
        assert (found.verdict, found.gain) == (Verdict.HELPS, None)
        assert "(cosine, peak 5.0e-02, warm-up 5 %) diverged on 1 seed, wsd" in found.sentence

    def test_constant_rates_that_all_diverged_show_nothing_of_lower_ones(self):
        found = against(Rival.CONSTANT, INCUMBENT, tried(at(CONSTANT, 0.9), None), gains={})
        assert (found.verdict, found.gain) == (Verdict.NOT_SETTLED, None)
        assert "at a lower peak it may not" in found.sentence

    def test_a_rival_that_was_stopped_early_is_compared_by_its_forecast(self):
        found = against(Rival.CONSTANT, INCUMBENT, tried(CONSTANT, Stop(step=300, mean=0.4, std=0.01)), gains={})
        assert (found.trial, found.forecast, found.verdict) == (1, True, Verdict.HELPS)
        assert found.gain is not None
        assert found.gain.mean == pytest.approx(0.1)
        assert found.gain.high - found.gain.low == pytest.approx(2 * 1.96 * math.hypot(0.01, 0.005), rel=1e-3)
        assert "(constant, peak 2.0e-02; stopped early, so by its forecast), by 0.100 (" in found.sentence

    def test_where_every_schedule_is_such_a_rival_nothing_is_claimed(self):
        bare = tried(BARE, 0.3, 0.3, role=Role.INCUMBENT)
        found = against(Rival.NO_WARMUP, bare, gains={})
        assert (found.verdict, found.best, found.gain) == (Verdict.NOT_SETTLED, None, None)


LOSS = st.floats(-0.2, 0.2)
WIDTH = st.floats(0.0001, 0.2)


@given(st.lists(st.tuples(LOSS, WIDTH), min_size=1, max_size=4))
def test_a_verdict_other_than_not_settled_needs_the_interval_that_shows_it(gains):
    fixed = {number: (mean, mean - half, mean + half) for number, (mean, half) in enumerate(gains, start=1)}
    estimates = FixedEstimates(fixed, margin=MARGIN)
    others = [tried(at(WSD, 0.1 + number / 100), 0.3, 0.3) for number in fixed]
    found = compare_with_rivals(evidence(study(INCUMBENT, *others), estimates))[0]
    assert found.gain is not None
    highest = max(high for _, _, high in fixed.values())
    assert (found.verdict is Verdict.HELPS) == (found.gain.low > 0.0)
    if found.verdict is Verdict.DOES_NOT_HELP:
        assert highest < MARGIN
    if highest >= MARGIN and found.gain.low <= 0.0:
        assert found.verdict is Verdict.NOT_SETTLED
        assert found.cost_to_settle is None or 2.0 <= found.cost_to_settle <= MOST_RUNS
    if highest < MARGIN and len(others) < MIN_PEAKS:
        assert found.verdict is not Verdict.DOES_NOT_HELP


@given(mean=LOSS, std=st.floats(0.001, 0.1), noise=st.floats(0.001, 0.1), margin=st.floats(0.001, 0.05))
def test_after_the_predicted_runs_the_interval_decides_if_the_mean_stays(mean, std, noise, margin):
    difference = Difference(mean=mean, std=std, low=mean - 1.96 * std, high=mean + 1.96 * std)
    runs = runs_to_settle(difference, margin=margin, noise_std=noise)
    fewer = None if runs is None or runs <= 2.0 else runs - 2.0

    def decides(count: float) -> bool:
        half = 1.959964 / math.sqrt(std**-2 + (count / 2.0) / (2.0 * noise**2))
        return mean - half > -1e-9 or mean + half < margin + 1e-9

    assert decides(1e9 if runs is None else runs)
    assert fewer is None or not decides(fewer - 1e-6)
    assert runs is not None or not decides(MOST_RUNS - 2.0)


@pytest.mark.parametrize("std", [math.nan, math.inf])
def test_no_cost_is_predicted_from_numbers_that_are_not_finite(std):
    assert runs_to_settle(Difference(mean=0.1, std=std, low=-std, high=std), margin=0.01, noise_std=0.1) is None
