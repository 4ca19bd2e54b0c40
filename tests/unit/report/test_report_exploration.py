from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuner.search.decision.controls import control_of

from tuner.report.build import build_report
from tuner.report.exploration import ENOUGH_TRIALS, MIN_PEAKS
from tuner.schedules import Constant, Cosine, Schedule, Wsd
from tuner.search.decision.decisions import Control, TrialStatus
from tuner.search.settings import SearchSettings
from tuner.search.simulate import simulate
from tuner.search.space import OptimizerKind, default_space

HELPS, NO_HELP = "A schedule helps here", "A schedule does not help here"
FEW, EDGE = "But too few peak rates were tried", "lies at the edge of what was tried"


def searched(studies, *, constants, others, constant_wins=False, padding=0):
    """A study of these peak rates, where the first of each side is its best and the rest are pruned."""
    sides = ((Constant(), constants), (Cosine(), others))
    schedules = [Schedule(peak_lr=peak, family=family) for family, peaks in sides for peak in peaks]
    schedules += [Schedule(peak_lr=others[0], family=Wsd())] * padding
    best = {0: (0.30, 0.31, 0.32), len(constants): (0.20, 0.22, 0.21)}
    if constant_wins:
        best = dict(zip(best, reversed(best.values()), strict=True))
    trials = [
        studies.trial(number, schedule, 0.6, 0.5, 0.3)
        if number in best
        else studies.trial(number, schedule, 1.0, status=TrialStatus.PRUNED)
        for number, schedule in enumerate(schedules)
    ]
    return studies.result(trials, {number: studies.confirmed(*losses) for number, losses in best.items()})


class TestFewPeaks:
    def test_six_trials_with_one_constant_rate_say_little_about_a_schedule_that_lost(self, studies):
        report = build_report(
            searched(studies, constants=[0.02], others=[0.02, 0.05, 0.1, 0.2, 0.01], constant_wins=True)
        )
        assert report.finding == (
            "A schedule does not help here: the best of all is a constant rate (constant, peak 2.0e-02). "
            "But too few peak rates were tried (1 with a constant rate, 5 with other schedules; 3 of each are needed): "
            "this says little, so search with at least 15 trials."
        )
        assert report.summary[0] == report.finding

    def test_the_same_is_said_of_a_schedule_that_won_and_the_measured_fact_stays(self, studies):
        report = build_report(searched(studies, constants=[0.02], others=[0.05]))
        assert report.schedule_helps
        assert report.finding.startswith(HELPS)
        assert "(1 with a constant rate, 1 with other schedules; 3 of each are needed)" in report.finding

    def test_equal_peak_rates_of_one_side_count_once(self, studies):
        report = build_report(searched(studies, constants=[0.02, 0.01, 0.04], others=[0.05, 0.1, 0.05], padding=2))
        assert "(3 with a constant rate, 2 with other schedules;" in report.finding

    def test_a_peak_rate_that_diverged_was_tried_and_one_without_a_result_was_not(self, studies):
        result = searched(studies, constants=[0.02, 0.01], others=[0.05, 0.1, 0.01])
        diverged = studies.trial(90, Schedule(peak_lr=0.5, family=Constant()), None, status=TrialStatus.PRUNED)
        failed = studies.trial(91, Schedule(peak_lr=0.6, family=Constant()), status=TrialStatus.FAILED)
        with_failed = build_report(studies.result([*result.trials, failed], result.confirmations))
        with_diverged = build_report(studies.result([*result.trials, diverged], result.confirmations))
        assert FEW in with_failed.finding
        assert FEW not in with_diverged.finding

    def test_a_search_of_many_trials_is_told_to_search_wider(self, studies):
        report = build_report(searched(studies, constants=[0.02], others=[0.05, 0.1, 0.01], padding=ENOUGH_TRIALS - 4))
        assert "search with more trials, or over a wider range of peak_lr" in report.finding

    def test_where_nothing_is_claimed_nothing_is_taken_back(self, studies):
        report = build_report(studies.result([studies.trial(0, studies.wsd, 0.6, 0.5, 0.3)], {}))
        assert "cannot be said" in report.finding
        assert FEW not in report.finding

    def test_the_controls_of_as_many_trials_as_it_advises_hold_enough_constant_rates_and_those_of_one_less_do_not(self):
        def constants(trials):
            search = SearchSettings(total_steps=900, trials=trials)
            return [control_of(number, settings=search) for number in range(trials)].count(Control.CONSTANT)

        assert constants(ENOUGH_TRIALS) == MIN_PEAKS
        assert constants(ENOUGH_TRIALS - 1) < MIN_PEAKS

    @pytest.mark.parametrize("optimizer", list(OptimizerKind))
    def test_a_search_of_as_many_trials_as_it_advises_tries_enough_peaks_on_both_sides(self, optimizer):
        def loss(configuration, steps, seed):
            return abs(math.log(configuration.schedule.peak_lr / math.sqrt(space.peak_lr.low * space.peak_lr.high)))

        space = default_space(optimizer)
        search = SearchSettings(total_steps=900, trials=ENOUGH_TRIALS, confirm_seeds=0, space=space)
        tried = [trial.schedule for trial in simulate(search, loss=loss, workers=1).state.trials]
        for constant in (True, False):
            side = {one.peak_lr for one in tried if isinstance(one.family, Constant) is constant}
            assert len(side) >= MIN_PEAKS


class TestEdge:
    def test_best_peak_rates_between_others_leave_the_claim_alone(self, studies):
        report = build_report(searched(studies, constants=[0.02, 0.01, 0.04], others=[0.05, 0.1, 0.01]))
        assert report.finding.startswith(HELPS)
        assert report.finding.endswith("on 3 of 3 seeds.")

    def test_a_best_constant_rate_at_the_edge_weakens_that_a_schedule_helps(self, studies):
        report = build_report(searched(studies, constants=[0.04, 0.01, 0.02], others=[0.05, 0.1, 0.01]))
        assert report.schedule_helps
        assert report.finding.endswith(
            "The peak of the best constant rate, 4.0e-02, lies at the edge of what was tried, as the highest: a better "
            "one may lie beyond, so search a wider range of peak_lr, or with more trials."
        )

    def test_a_best_other_schedule_at_the_edge_weakens_that_none_helps(self, studies):
        report = build_report(
            searched(studies, constants=[0.02, 0.01, 0.04], others=[0.01, 0.1, 0.05], constant_wins=True)
        )
        assert report.finding.startswith(NO_HELP)
        assert f"The peak of the best other schedule, 1.0e-02, {EDGE}, as the lowest" in report.finding

    def test_a_side_with_few_peak_rates_is_not_said_to_be_at_the_edge_too(self, studies):
        finding = build_report(searched(studies, constants=[0.02], others=[0.05, 0.1, 0.01])).finding
        assert FEW in finding
        assert EDGE not in finding


@given(
    constants=st.lists(st.sampled_from([0.01, 0.02, 0.04, 0.08]), min_size=1, max_size=5),
    others=st.lists(st.sampled_from([0.01, 0.02, 0.04, 0.08]), min_size=1, max_size=5),
    constant_wins=st.booleans(),
)
def test_a_bare_claim_needs_three_peaks_of_each_side_and_the_best_of_each_between_others(
    studies, constants, others, constant_wins
):
    report = build_report(searched(studies, constants=constants, others=others, constant_wins=constant_wins))
    bare = FEW not in report.finding and EDGE not in report.finding
    assert bare is all(min(peaks) < peaks[0] < max(peaks) for peaks in (constants, others))
    assert report.schedule_helps is not constant_wins
