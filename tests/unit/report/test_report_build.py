from __future__ import annotations

import pytest

from tuner.errors import InvalidValue
from tuner.report.build import build_report
from tuner.report.report import Report, Verdict
from tuner.schedules import Constant, Cosine, Linear, Schedule, Wsd
from tuner.search.decision.decisions import Control, TrialStatus


def verdicts(report):
    return {
        "constant": report.best_constant and report.best_constant.verdict,
        "default": report.default and report.default.verdict,
    }


class TestTypicalStudy:
    def test_the_best_is_the_one_with_the_lowest_confirmed_median(self, report):
        assert [candidate.trial for candidate in report.candidates] == [3, 4, 2, 0]
        assert report.best == report.candidates[0]
        assert (report.best.median, report.best.low, report.best.high) == (0.289, 0.280, 0.301)
        assert report.best.mean == pytest.approx(0.2898)

    def test_both_the_search_value_and_the_confirmed_loss_are_told(self, report):
        assert report.best.search_value == 0.279

    def test_the_lift_over_the_best_constant_rate_is_paired_by_seed(self, report):
        # Differences .063 .061 .059 .066 .059: mean .0616, deviation .0029665, t(97.5 %, 4) = 2.776445.
        comparison = report.best_constant
        assert comparison.trial == 0
        assert comparison.verdict is Verdict.BETTER
        assert (comparison.wins, comparison.seeds) == (5, 5)
        assert comparison.gain.mean == pytest.approx(0.0616)
        assert comparison.gain.low == pytest.approx(0.0579166, abs=1e-6)
        assert comparison.gain.high == pytest.approx(0.0652834, abs=1e-6)
        assert comparison.gain.percent == pytest.approx(100 * 0.0616 / 0.3514)

    def test_a_schedule_helps(self, report):
        assert report.schedule_helps
        assert report.finding.startswith("A schedule helps here")
        assert report.summary[0] == report.finding

    def test_the_equivalents_are_the_statistical_ties_with_the_best(self, report):
        assert [(member.trial, member.verdict) for member in report.equivalents.members] == [
            (3, Verdict.SAME),
            (4, Verdict.TIED),
        ]

    def test_an_equivalent_wsd_schedule_is_recommended_because_its_hold_can_be_continued(self, report):
        assert report.recommended.trial == report.equivalents.recommended == 4
        assert "training can go on from there" in report.equivalents.reason

    def test_the_cost_keeps_confirmation_apart(self, report):
        cost = report.cost
        assert (cost.updates_spent, cost.search_updates, cost.confirm_updates) == (24_000, 6_000, 18_000)
        assert cost.updates_saved == 1_500
        assert cost.updates_all_full == 9 * 900
        assert cost.ratio == pytest.approx(6_000 / 8_100)

    def test_every_trial_has_a_row_with_the_rung_it_reached(self, report):
        assert [row.rung for row in report.trials] == [2, 0, 2, 2, 2, 0, 1, 1, 0]
        assert report.trials[1].values == (None,)

    def test_it_comes_back_equal_from_its_json(self, report):
        assert Report.model_validate_json(report.model_dump_json()) == report
        assert Report.model_validate(report.model_dump(mode="json")) == report


class TestNoHelp:
    def test_a_constant_rate_that_cannot_be_told_from_the_best_means_that_no_schedule_helps(self, studies):
        report = build_report(
            studies.result(
                [
                    studies.trial(0, studies.constant, 0.6, 0.5, 0.30, control=Control.CONSTANT),
                    studies.trial(1, studies.wsd, 0.6, 0.5, 0.29),
                ],
                {0: studies.confirmed(0.31, 0.29, 0.30), 1: studies.confirmed(0.30, 0.30, 0.29)},
            )
        )
        assert not report.schedule_helps
        assert report.finding.startswith("A schedule does not help here")
        assert report.recommended.trial == 0, "the constant rate is as good and needs no horizon"

    def test_a_constant_rate_that_wins_is_told_as_such(self, studies):
        report = build_report(
            studies.result(
                [
                    studies.trial(0, studies.constant, 0.6, 0.5, 0.30, control=Control.CONSTANT),
                    studies.trial(1, studies.default, 0.6, 0.5, 0.29, control=Control.DEFAULT),
                ],
                {0: studies.confirmed(0.2, 0.21, 0.22), 1: studies.confirmed(0.30, 0.32, 0.31)},
            )
        )
        assert verdicts(report) == {"constant": Verdict.SAME, "default": Verdict.BETTER}
        assert not report.schedule_helps
        assert "the best of all is a constant rate" in report.finding

    def test_a_constant_rate_that_the_sampler_found_counts_as_the_best_constant(self, studies):
        sampled = Schedule(peak_lr=0.03, family=Constant())
        report = build_report(
            studies.result(
                [
                    studies.trial(0, studies.constant, 0.6, 0.5, 0.40, control=Control.CONSTANT),
                    studies.trial(1, sampled, 0.6, 0.5, 0.35),
                    studies.trial(2, studies.wsd, 0.6, 0.5, 0.29),
                ],
                {n: studies.confirmed(*losses) for n, losses in enumerate([(0.41, 0.4), (0.36, 0.35), (0.3, 0.29)])},
            )
        )
        assert report.best_constant is not None
        assert report.best_constant.trial == 1

    def test_equal_losses_cannot_be_told_apart_and_are_no_wins(self, studies):
        report = build_report(
            studies.result(
                [
                    studies.trial(0, studies.constant, 0.6, 0.5, 0.3, control=Control.CONSTANT),
                    studies.trial(1, studies.linear, 0.6, 0.5, 0.3),
                ],
                {0: studies.confirmed(0.3, 0.3, 0.3), 1: studies.confirmed(0.3, 0.3, 0.3)},
            )
        )
        rival = report.equivalents.members[1]
        assert (rival.verdict, rival.wins, rival.seeds) == (Verdict.TIED, 0, 3)
        assert (rival.gain.low, rival.gain.mean, rival.gain.high, rival.gain.percent) == (0.0, 0.0, 0.0, 0.0)


class TestDivergence:
    def test_a_candidate_that_diverged_on_one_seed_ranks_after_all_that_did_not(self, studies):
        report = build_report(
            studies.result(
                [studies.trial(0, studies.wsd, 0.6, 0.5, 0.2), studies.trial(1, studies.linear, 0.6, 0.5, 0.4)],
                {0: studies.confirmed(0.2, None, 0.2), 1: studies.confirmed(0.4, 0.4, 0.4)},
            )
        )
        last = report.candidates[-1]
        assert (report.best.trial, last.trial, last.diverged) == (1, 0, 1)
        assert (last.median, last.mean, last.low, last.high) == (0.2, None, 0.2, None)
        assert [member.trial for member in report.equivalents.members] == [1]

    def test_a_rival_that_diverged_is_beaten_whatever_its_other_losses_say(self, studies):
        report = build_report(
            studies.result(
                [
                    studies.trial(0, studies.constant, 0.6, 0.5, 0.2, control=Control.CONSTANT),
                    studies.trial(1, studies.linear, 0.6, 0.5, 0.4),
                ],
                {0: studies.confirmed(0.2, None, 0.2), 1: studies.confirmed(0.4, 0.4, 0.4)},
            )
        )
        assert report.best_constant is not None
        assert report.best_constant.verdict is Verdict.BETTER
        assert (report.best_constant.wins, report.best_constant.seeds, report.best_constant.diverged) == (1, 3, 1)
        assert "diverged on 1 seed" in report.finding

    def test_when_every_candidate_diverged_the_report_says_so(self, studies):
        report = build_report(
            studies.result(
                [
                    studies.trial(0, studies.constant, 0.6, 0.5, 0.2, control=Control.CONSTANT),
                    studies.trial(1, studies.linear, 0.6, 0.5, 0.4),
                ],
                {0: studies.confirmed(None, None, 0.2), 1: studies.confirmed(0.4, None, 0.4)},
            )
        )
        assert report.best.trial == 1
        assert not report.schedule_helps
        assert "diverged on 1 of 3 seeds" in report.summary[1]
        assert [member.trial for member in report.equivalents.members] == [1]


class TestCutShort:
    def test_without_a_constant_rate_nothing_is_claimed(self, studies):
        report = build_report(
            studies.result([studies.trial(0, studies.wsd, 0.6, 0.5, 0.3)], {0: studies.confirmed(0.3, 0.31)})
        )
        assert verdicts(report) == {"constant": None, "default": None}
        assert not report.schedule_helps
        assert "cannot be said" in report.finding
        assert report.best == report.recommended

    def test_without_confirmation_the_search_value_decides_and_the_report_says_so(self, studies):
        report = build_report(
            studies.result(
                [
                    studies.trial(0, studies.constant, 0.6, 0.5, 0.4, control=Control.CONSTANT),
                    studies.trial(1, studies.wsd, 0.6, 0.5, 0.3),
                    studies.trial(2, studies.linear, 0.6, 0.1, status=TrialStatus.PRUNED),
                ],
                {},
                confirm_updates=0,
            )
        )
        assert [candidate.trial for candidate in report.candidates] == [1, 0]
        assert (report.best.median, report.best.values) == (None, ())
        assert verdicts(report)["constant"] is Verdict.TIED
        assert [member.trial for member in report.equivalents.members] == [1]
        assert "nothing was confirmed" in report.summary[1]

    def test_one_common_seed_gives_a_gain_without_an_interval_and_no_equivalent(self, studies):
        report = build_report(
            studies.result(
                [
                    studies.trial(0, studies.constant, 0.6, 0.5, 0.4, control=Control.CONSTANT),
                    studies.trial(1, studies.wsd, 0.6, 0.5, 0.3),
                ],
                {0: {101: 0.41}, 1: {101: 0.3}},
            )
        )
        comparison = report.best_constant
        assert comparison is not None
        assert comparison.gain is not None
        assert comparison.gain.mean == pytest.approx(0.11)
        assert (comparison.gain.low, comparison.verdict) == (None, Verdict.TIED)
        assert [member.trial for member in report.equivalents.members] == [1]
        assert "at least two seeds" in report.finding

    def test_a_lucky_seed_alone_does_not_beat_full_confirmation(self, studies):
        report = build_report(
            studies.result(
                [studies.trial(0, studies.wsd, 0.6, 0.5, 0.3), studies.trial(1, studies.linear, 0.6, 0.5, 0.3)],
                {0: {101: 0.20}, 1: studies.confirmed(0.3, 0.3, 0.3, 0.3)},
            )
        )
        assert report.best.trial == 1

    def test_only_common_seeds_are_compared(self, studies):
        report = build_report(
            studies.result(
                [
                    studies.trial(0, studies.constant, 0.6, 0.5, 0.4, control=Control.CONSTANT),
                    studies.trial(1, studies.wsd, 0.6, 0.5, 0.3),
                ],
                {0: {102: 0.42, 103: 0.41, 104: 0.43, 105: 9.0}, 1: studies.confirmed(0.3, 0.31, 0.30, 0.32)},
            )
        )
        assert report.best_constant is not None
        assert report.best_constant.seeds == 3
        assert report.best_constant.gain.mean == pytest.approx(0.11)

    def test_a_study_without_a_full_length_result_has_no_answer(self, studies):
        with pytest.raises(InvalidValue, match="at least one reached the horizon"):
            build_report(studies.result([studies.trial(0, studies.wsd, 0.6)], {}))


class TestReuse:
    @pytest.mark.parametrize(
        ("families", "recommended"),
        [
            ((Cosine(), Linear(), Wsd(), Constant()), 3),
            ((Cosine(), Linear(), Wsd()), 2),
            ((Cosine(), Linear()), 1),
            ((Cosine(), Cosine()), 0),
            ((Wsd(), Wsd(), Linear()), 0),
        ],
    )
    def test_constant_then_wsd_then_linear_then_the_best(self, studies, families, recommended):
        trials = [
            studies.trial(n, Schedule(peak_lr=0.01, family=family), 0.5, 0.4, 0.3) for n, family in enumerate(families)
        ]
        report = build_report(studies.result(trials, {n: {1: 0.3, 2: 0.31} for n in range(len(trials))}))
        assert len(report.equivalents.members) == len(families)
        assert report.recommended.trial == recommended

    def test_linear_decay_to_a_floor_is_not_linear_decay_to_zero(self, studies):
        trials = [
            studies.trial(0, Schedule(peak_lr=0.01, family=Cosine()), 0.5, 0.4, 0.3),
            studies.trial(1, Schedule(peak_lr=0.01, family=Linear(), floor=0.1), 0.5, 0.4, 0.3),
        ]
        report = build_report(studies.result(trials, {n: {1: 0.3, 2: 0.31} for n in range(2)}))
        assert report.recommended.trial == 0


class TestRefusals:
    def test_contradictory_results_are_refused_with_field_and_value(self, studies):
        trial = studies.trial(0, studies.wsd, 0.6, 0.5, 0.3)
        with pytest.raises(InvalidValue, match=r"confirmations must be of trials that exist, got \[7\]"):
            studies.result([trial], {7: {1: 0.3}})
        with pytest.raises(InvalidValue, match="trials must be numbered without repetition"):
            studies.result([trial, trial], {})
        with pytest.raises(InvalidValue, match=r"confirmations\.0 must be finite"):
            studies.result([trial], {0: {1: float("nan")}})
        with pytest.raises(InvalidValue, match=r"trials\.0\.losses must be at most 3 long"):
            studies.result([studies.trial(0, studies.wsd, 0.6, 0.5, 0.3, 0.2)], {})
        with pytest.raises(InvalidValue, match=r"confirm_updates must be in \[0, 10\]"):
            studies.result([trial], {}, updates_spent=10, confirm_updates=11)

    def test_a_trial_that_is_no_candidate_cannot_be_looked_up(self, studies):
        with pytest.raises(KeyError):
            build_report(studies.typical()).candidate(5)


class TestAsText:
    def test_a_printed_report_is_its_summary_and_nothing_else(self, report):
        assert str(report) == f"{report}" == "\n".join(report.summary)

    def test_the_representation_names_job_workload_and_best_on_one_line(self, report):
        assert repr(report) == (
            "<Report of job 00000000-0000-4000-8000-000000000001: digits-mlp, 9 trials, "
            "best 'linear, peak 5.0e-02, warm-up 5 %'>"
        )
