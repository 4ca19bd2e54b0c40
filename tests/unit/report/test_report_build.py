"""The report of a study: what it recommends, offers beside it, reserves, and counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.report.studies import (
    CONSTANT,
    DEFAULT,
    LINEAR,
    SEEDS,
    STEPS,
    WSD,
    FixedEstimates,
    Stop,
    at,
    check,
    evaluations,
    evidence,
    study,
    tried,
    typical,
    with_curves,
)
from tuner.errors import InvalidValue
from tuner.metric import DEFAULT_METRIC
from tuner.report.build import build_report
from tuner.report.candidates import rank
from tuner.report.report import Rival, Verdict
from tuner.report.reservations import reservations
from tuner.report.reuse import reusable
from tuner.report.study_result import RunFailure, RunHistory
from tuner.report.wording import raw_text
from tuner.search.decision.decisions import Role, RunStatus
from tuner.search.decision.estimates import Estimates
from tuner.search.pruning.forecast import Forecast
from tuner.search.pruning.stopping import ForecastCheck, Leader

INCUMBENT = tried(DEFAULT, 0.3, 0.31, 0.29, role=Role.INCUMBENT)


class TestRecommendation:
    def test_it_is_the_one_of_the_estimates_as_are_the_expected_values(self, report):
        estimates = Estimates(typical().state)
        assert report.recommended.trial == estimates.recommended == 2
        assert [one.trial for one in report.candidates] == list(estimates.trials)
        for candidate in report.candidates:
            assert candidate.expected == pytest.approx(estimates.expected(candidate.trial).mean)
            assert candidate.low < candidate.expected < candidate.high
        assert report.incumbent == report.candidate(0)

    def test_the_raw_mean_stands_beside_the_expected_value(self, report):
        assert report.recommended.mean == pytest.approx(0.2824)
        assert "measured 0.2824 in the mean of 5 seeds" in report.summary[1]

    def test_a_raw_mean_that_is_better_than_expected_is_called_lucky(self):
        found = build_report(
            study(INCUMBENT, tried(WSD, 0.2), tried(DEFAULT.model_copy(update={"peak_lr": 0.2}), 0.31))
        )
        assert found.recommended.expected > found.recommended.mean == pytest.approx(0.2)
        assert "measured 0.2000 on 1 seed, which looks better than it is" in found.summary[1]

    def test_runs_that_were_stopped_are_left_out_of_the_mean_and_said_to_be(self):
        found = build_report(study(INCUMBENT, tried(WSD, 0.2, 0.22, Stop(step=300, mean=0.4)))).candidate(1)
        assert (found.mean, found.stopped, len(found.values)) == (pytest.approx(0.21), 1, 2)
        assert raw_text(found, metric=DEFAULT_METRIC) == "0.2100 in the mean of 2 seeds (1 more stopped early)"

    def test_a_measured_value_that_is_no_better_than_expected_is_not_called_lucky(self):
        trials = [tried(at(DEFAULT, 0.01 * 1.5**n), 0.3 + 0.01 * n) for n in range(6)]
        result = study(tried(DEFAULT, 0.36, role=Role.INCUMBENT), *trials)
        found = build_report(result)
        lucky = found.recommended.mean < found.recommended.expected
        assert ("partly luck" in found.summary[1]) is lucky

    def test_the_first_sentence_is_the_verdict_against_the_incumbent_and_the_last_lines_say_what_to_do(self, report):
        assert report.finding == report.summary[0] == report.comparison(Rival.INCUMBENT).sentence
        assert report.finding.startswith("It helps: wsd")
        assert report.summary[-len(report.next_steps) :] == report.next_steps
        assert report.next_steps[0].startswith("Train with wsd 1-sqrt cooldown 40 %")
        assert str(report) == "\n".join(report.summary)

    def test_a_trial_that_diverged_on_a_seed_is_neither_recommended_nor_compared_and_comes_last(self):
        found = build_report(study(INCUMBENT, tried(WSD, 0.1, None), tried(at(WSD, 0.2), 0.2, None, None)))
        assert [one.trial for one in found.candidates] == [0, 1, 2]
        assert found.recommended.trial == 0
        lucky = found.candidate(1)
        assert (lucky.expected, lucky.mean, lucky.diverged, lucky.values[1].value) == (None, None, 1, None)
        assert all(one.best != 1 for one in found.comparisons)

    def test_where_every_schedule_diverged_on_some_seed_nothing_is_claimed_of_the_recommended_one(self):
        found = build_report(study(tried(DEFAULT, 0.3, None, role=Role.INCUMBENT), tried(WSD, 0.2, None)))
        assert all(one.verdict is Verdict.NOT_SETTLED and one.gain is None for one in found.comparisons)
        assert "no other schedule was without divergence" in found.summary[1]

    def test_a_study_without_a_finished_run_has_no_report(self):
        with pytest.raises(InvalidValue):
            build_report(study(tried(WSD, None), tried(LINEAR)))


class TestManyRuns:
    def test_what_ended_too_far_from_the_best_for_the_model_is_still_a_candidate_and_a_rival(self):
        near = [tried(at(WSD, 0.05 * 1.02**n), 0.3 + 0.001 * n) for n in range(110)]
        far = tried(CONSTANT, 9.0, 9.2)
        found = build_report(study(tried(DEFAULT, 0.5, role=Role.INCUMBENT), *near, far, budget=200))
        constant = found.candidates[-1]
        assert (constant.trial, constant.mean, constant.expected) == (111, pytest.approx(9.1), None)
        against = found.comparison(Rival.CONSTANT)
        assert (against.trial, against.forecast, against.verdict) == (111, False, Verdict.HELPS)
        assert against.gain.mean > 8.0
        assert len(found.candidates) == len(found.trials) == 112


class TestSmallBudgets:
    def test_with_one_run_nothing_was_compared_and_it_says_so(self):
        found = build_report(study(tried(WSD, 0.3), budget=1))
        assert found.finding.startswith("Nothing was compared: one schedule was trained, wsd")
        follow_up = f"`tuner submit --from {found.job_id} --against"
        assert f"To learn whether you need the warm-up: {follow_up} no-warmup --budget 3`." in found.next_steps
        assert f"To learn whether a schedule helps at all: {follow_up} constant --budget 3`." in found.next_steps
        assert all(one.verdict is Verdict.NOT_SETTLED for one in found.comparisons)
        assert all("nothing is claimed" in one.sentence or "no other" in one.sentence for one in found.comparisons)
        assert "One run reached the end, on one seed: nothing could be confirmed." in found.reservations
        assert (
            f"To compare it with others: `tuner submit --from {found.job_id} --budget 3`, or more." in found.next_steps
        )
        assert "1 of 1 full run: 900 updates." in found.summary

    def test_with_one_run_of_the_incumbent_nothing_was_compared_either(self):
        found = build_report(study(tried(DEFAULT, 0.3, role=Role.INCUMBENT), budget=1))
        assert found.finding.startswith("Nothing was compared: one schedule was trained, cosine")
        assert found.comparison(Rival.INCUMBENT).verdict is Verdict.NOT_SETTLED

    def test_two_runs_on_one_seed_settle_nothing(self):
        found = build_report(study(tried(DEFAULT, 0.3, role=Role.INCUMBENT), tried(WSD, 0.29), budget=2))
        assert [one.verdict for one in found.comparisons] == [Verdict.NOT_SETTLED] * 3
        assert "so few runs on one seed do not show how much of that is noise" in found.finding
        assert found.reusable is None

    def test_one_seed_alone_confirms_nothing_and_it_says_so(self):
        trials = [tried(at(WSD, 0.02 * 1.6**n), 0.25 + 0.01 * (n - 3) ** 2) for n in range(7)]
        found = build_report(study(tried(DEFAULT, 0.4, role=Role.INCUMBENT), *trials))
        assert any(one.startswith("Every schedule was trained on one seed, so nothing") for one in found.reservations)
        assert not found.margin.noise_is_measured
        for one in found.comparisons:
            assert one.verdict is Verdict.NOT_SETTLED or "this is not confirmed" in one.sentence

    def test_a_recommended_schedule_with_one_seed_beside_others_with_more_is_called_unconfirmed(self):
        trials = (INCUMBENT, tried(WSD, 0.1), tried(LINEAR, 0.2, 0.21, 0.2))
        known = evidence(study(*trials), FixedEstimates({1: (0.1, 0.0, 0.2), 2: (0.0, -0.1, 0.1)}, recommended=1))
        found = reservations(known, recommended=rank(known)[0], comparisons=())
        assert "was trained on one seed: its result is not confirmed" in found[0]


class TestFailures:
    def test_runs_that_failed_are_named_with_their_attempts_and_the_cause(self):
        known = evidence(study(INCUMBENT, tried(WSD, 0.2, 0.2)), FixedEstimates({1: (0.1, 0.0, 0.2)}, recommended=1))
        failures = [
            RunFailure(trial=1, seed=seed, attempts="3 failed, 2 lost", error="it was killed by SIGSEGV.")
            for seed in range(5)
        ]

        def sentences(count: int) -> tuple[str, ...]:
            failed = replace(known, result=replace(known.result, failures=tuple(failures[:count])))
            return reservations(failed, recommended=rank(failed)[0], comparisons=())

        assert not any("failed" in sentence for sentence in sentences(0))
        assert sentences(1)[0] == (
            "1 run failed and has no result: trial 1 on seed 0 (3 failed, 2 lost): it was killed by SIGSEGV."
        )
        assert sentences(5)[0].startswith(
            "5 runs failed without a result: trial 1 on seed 0 (3 failed, 2 lost): it was "
        )
        assert sentences(5)[0].endswith("trial 1 on seed 2 (3 failed, 2 lost): it was killed by SIGSEGV; and 2 more.")


class TestPeaks:
    def test_a_peak_at_the_end_of_the_range_is_said_at_any_budget_and_number_of_seeds(self):
        for losses in ((0.3,), (0.3, 0.3), (0.3, 0.31, 0.29, 0.3)):
            found = build_report(study(tried(at(WSD, 0.98), *losses), budget=len(losses)))
            assert any(
                "lies at the highest end of the searched range (1.0e-03 to 1.0e+00)" in one for one in found.summary
            )
            command = f"`tuner submit --from {found.job_id} --peak-lr LOW..HIGH`"
            assert f"To look beyond the searched peaks: {command}." in found.next_steps

    def test_a_peak_that_is_the_highest_of_those_tried_is_said(self):
        found = build_report(study(INCUMBENT, tried(WSD, 0.2, 0.2), tried(at(WSD, 0.02), 0.4)))
        assert any("1.0e-01, is the highest of the 3 that were tried" in one for one in found.reservations)

    def test_a_peak_between_others_is_not_reserved(self):
        found = build_report(study(INCUMBENT, tried(WSD, 0.2, 0.2), tried(at(WSD, 0.4), 0.4)))
        assert not any("peak" in one for one in found.reservations)

    def test_a_higher_peak_that_diverged_was_tried(self):
        found = build_report(study(INCUMBENT, tried(WSD, 0.2, 0.2), tried(at(WSD, 0.4), None)))
        assert not any("of those" in one or "that were tried" in one for one in found.reservations)

    def test_a_higher_peak_that_failed_was_not(self):
        found = build_report(study(INCUMBENT, tried(WSD, 0.2, 0.2), tried(at(WSD, 0.4))))
        assert any("is the highest of the 2 that were tried" in one for one in found.reservations)

    def test_a_rival_of_few_peaks_is_said_to_have_been_explored_little(self, report):
        expected = "Of constant rates without warm-up, 2 peak rates alone were tried: a better one may exist."
        assert expected in report.reservations


class TestReusable:
    def offered(self, gains, *trials, recommended=0):
        found = reusable(evidence(study(INCUMBENT, *trials), FixedEstimates(gains, recommended=recommended)))
        return None if found is None else found.trial

    def test_a_cheaper_one_is_offered_where_it_is_shown_not_to_be_worse_by_the_margin(self):
        assert self.offered({1: (-0.002, -0.006, 0.002)}, tried(CONSTANT, 0.3)) == 1

    def test_an_interval_that_reaches_the_margin_offers_nothing_however_equal_the_means(self):
        assert self.offered({1: (0.0, -0.011, 0.011)}, tried(CONSTANT, 0.3)) is None

    def test_of_several_the_cheapest_is_offered(self):
        gains = {1: (-0.001, -0.003, 0.001), 2: (-0.002, -0.004, 0.002), 3: (-0.003, -0.005, 0.003)}
        assert self.offered(gains, tried(LINEAR, 0.3), tried(WSD, 0.3), tried(CONSTANT, 0.3)) == 3

    def test_nothing_is_offered_beside_a_constant_rate(self):
        gains = {1: (0.02, 0.01, 0.03), 2: (0.019, 0.01, 0.03)}
        assert self.offered(gains, tried(CONSTANT, 0.28), tried(LINEAR, 0.28), recommended=1) is None

    def test_it_stands_beside_the_recommended_one_in_the_summary(self):
        losses = [0.3 + 0.0005 * (n % 2) for n in range(5)]
        worse = [loss + 0.001 for loss in losses]
        result = study(tried(DEFAULT, *losses, role=Role.INCUMBENT), tried(LINEAR, *worse), margin=0.05)
        found = build_report(result)
        assert found.recommended.trial == 0
        assert found.reusable.trial == 1
        assert any(one.startswith("Beside it, cheaper to reuse: linear") for one in found.summary)


class TestMargin:
    def test_a_margin_of_the_state_is_what_more_steps_gain(self, report):
        assert (report.margin.value, report.margin.worth) == (0.004, 0.05)
        assert report.margin.sentence == (
            "A change is worth it from a gain of 0.004 on: what 5 % more steps would gain."
        )

    def test_without_one_it_is_a_tenth_of_the_spread_over_seeds_and_the_report_says_so(self):
        found = build_report(replace(typical(), state=replace(typical().state, margin=None)))
        assert found.margin.worth is None
        assert found.margin.value == pytest.approx(0.1 * found.margin.noise)
        assert "a tenth of the spread over seeds" in found.margin.sentence
        assert "do not show what more steps would gain the incumbent" in found.margin.sentence

    def test_the_least_gain_of_the_job_is_the_margin_where_it_is_larger(self):
        settings = typical().state.settings.model_copy(update={"least_gain": 0.2})
        found = build_report(replace(typical(), state=replace(typical().state, settings=settings)))
        assert (found.margin.value, found.margin.least_gain, found.margin.worth) == (0.2, 0.2, None)
        assert found.margin.sentence == "A change is worth it from a gain of 0.2 on, as the job asks."
        assert found.next_steps[0].startswith("Keep the usual default, cosine")
        assert found.next_steps[0].endswith("warm-up 5 % is better, by less than the job asks for.")
        against_constant = found.comparison(Rival.CONSTANT)
        assert (against_constant.verdict, against_constant.worth_it) == (Verdict.HELPS, False)
        assert "but by less than is worth a change, 0.2 (as the job asks)" in against_constant.sentence

    def test_a_least_gain_below_what_steps_are_worth_changes_nothing(self):
        settings = typical().state.settings.model_copy(update={"least_gain": 0.001})
        found = build_report(replace(typical(), state=replace(typical().state, settings=settings)))
        assert (found.margin.value, found.margin.least_gain, found.margin.worth) == (0.004, None, 0.05)

    def test_a_gain_is_said_in_steps_where_the_curves_show_what_steps_gain(self):
        """Losses of a power law in the steps, for every schedule, from different levels."""
        result = study(
            tried(DEFAULT, 0.36, 0.3605, role=Role.INCUMBENT),
            tried(WSD, 0.32, 0.3205),
            tried(LINEAR, 0.34, 0.3405),
        )
        curves = {
            (trial, seed): tuple(
                replace(point, val_loss=loss + (place + 1) ** -0.7 - 21**-0.7)
                for place, point in enumerate(evaluations(*[0.0] * 21))
            )
            for trial, loss in ((0, 0.36), (1, 0.32), (2, 0.34))
            for seed in SEEDS[:2]
        }
        found = build_report(with_curves(result, curves)).comparison(Rival.INCUMBENT)
        assert found.gain.steps is not None
        assert found.gain.steps.low <= found.gain.steps.factor
        assert found.gain.steps.factor > 1.05
        assert " times the steps (" in found.sentence


class TestEarlyStops:
    def audited(self, loss):
        """A run that a forecast left no chance, trained on to this loss."""
        result = study(INCUMBENT, tried(WSD, loss))
        history = RunHistory(trial=1, seed=SEEDS[0], steps=STEPS, check=check(Stop(step=300, mean=0.4)), audited=True)
        return build_report(replace(result, histories=(history,))).early_stops

    def test_what_was_stopped_is_listed_with_its_forecast_and_what_it_saved(self, report):
        (stopped,) = report.early_stops.stopped
        assert (stopped.trial, stopped.step, stopped.forecast, stopped.value) == (5, 300, 0.40, None)
        assert (stopped.leader, stopped.chance, stopped.margin) == (0.28, 0.0001, 0.004)
        assert report.early_stops.sentence == (
            "1 run was stopped early, because the forecast of the end left almost no chance to beat the leader by the "
            "margin. That saved 600 updates, 0.667 full runs. No such run was "
            "trained on to see what stopping loses."
        )
        assert report.cost.updates_stopped == 600

    def test_a_pruner_on_the_raw_loss_is_named_with_what_it_risked(self):
        result = study(INCUMBENT, tried(WSD, Stop(step=300, mean=0.4)), pruner="median")
        for chance, risk in ((0.0001, "none of 1 had"), (0.4, "1 of 1 had")):
            stopped = replace(check(Stop(step=300, mean=0.4)), chance=chance)
            history = RunHistory(trial=1, seed=SEEDS[0], steps=300, check=stopped)
            found = build_report(replace(result, histories=(history,)))
            assert "1 run was stopped early, by pruner median, which compares" in found.early_stops.sentence
            assert f"By the forecasts {risk} a chance of 1 % or more" in found.early_stops.sentence
            assert "Pruner median stopped 1 run by the loss in the middle of training" in " ".join(found.reservations)
        assert found.early_stops.sentence.endswith(
            "and 0.4 of them would have: pruner forecast trains such runs to their end."
        )

    def test_an_audited_run_that_ends_as_forecast_shows_no_harm(self):
        found = self.audited(0.39)
        assert (len(found.audited), found.wrong, found.audited[0].value) == (1, 0, 0.39)
        assert found.sentence.endswith("to see what stopping loses: it did not beat the leader.")

    def test_an_audited_run_that_beats_the_leader_by_the_margin_would_have_been_stopped_wrongly(self):
        assert self.audited(0.2755).wrong == 1
        assert self.audited(0.2765).wrong == 0  # better than the leader, 0.28, by less than the margin

    def test_without_any_it_says_so(self):
        assert build_report(study(INCUMBENT)).early_stops.sentence == "No run was stopped early."
        off = build_report(study(INCUMBENT, prune=False)).early_stops.sentence
        assert off.startswith("Stopping early was switched off")

    def test_forecasts_of_a_maximized_metric_are_values(self):
        result = study(INCUMBENT, tried(WSD, Stop(step=300, mean=-40.0)))
        metric = result.metric.model_copy(update={"direction": "maximize", "name": "score"})
        forecast = Forecast(step=300, mean=-40.0, std=1.0, low=-42.0, high=-38.0)
        history = RunHistory(
            trial=1,
            seed=SEEDS[0],
            steps=300,
            check=ForecastCheck(
                forecast=forecast, leader=Leader(mean=-60.0, std=1.0), margin=1.0, chance=0.0, stop=True
            ),
        )
        found = build_report(replace(result, state=replace(result.state, metric=metric), histories=(history,)))
        (stopped,) = found.early_stops.stopped
        assert (stopped.forecast, stopped.low, stopped.high, stopped.leader) == (40.0, 38.0, 42.0, 60.0)


class TestCostAndTrials:
    def test_the_cost_is_said_in_full_runs_of_the_budget_updates_and_device_time(self):
        """The budget counts what was trained once for several runs for each of them; the updates count it once."""
        result = replace(typical(), updates_spent=19_400, updates_saved=900, device_seconds=200.0)
        found = build_report(result)
        assert found.cost.full_runs == pytest.approx((22 * 900 + 300 + 2 * 100) / 900)
        assert (
            "22.6 of 30 full runs: 19,400 updates, 3 min of device time. Saved: 600 by stopping runs early, and 900 by "
            "training once what runs have in common. 2 of 25 runs diverged, after 200 updates in all: a result of the "
            "search, which keeps away from there."
        ) in found.summary
        assert (found.cost.runs, found.cost.diverged, found.cost.updates_diverged) == (25, 2, 200)

    def test_runs_that_diverged_are_counted_only_where_there_are_some(self):
        assert not any("diverged" in one for one in build_report(study(INCUMBENT, tried(WSD, 0.2))).summary)

    def test_the_trials_have_all_their_runs_with_what_they_reached(self, report):
        rows = {row.number: row for row in report.trials}
        assert [run.value for run in rows[3].runs] == [0.352, 0.341, 0.360]
        assert [(run.status, run.steps, run.value) for run in rows[5].runs] == [(RunStatus.STOPPED, 300, 0.40)]
        assert [(run.status, run.value) for run in rows[4].runs] == [(RunStatus.DIVERGED, None)]
        assert rows[10].runs[0].status is RunStatus.FAILED
        assert rows[0].role is Role.INCUMBENT

    def test_long_curves_are_thinned_and_those_of_the_recommended_schedule_come_first(self):
        curves = {(trial, SEEDS[0]): evaluations(*(1.0 / (1 + n) for n in range(301))) for trial in (0, 2)}
        found = build_report(with_curves(typical(), curves)).curves
        assert [one.trial for one in found] == [2, 0, 5]
        assert len(found[0].steps) == 40
        assert (found[0].steps[0], found[0].steps[-1]) == (0, STEPS)


class TestOptions:
    def test_other_options_than_the_rival_s_are_said_to_have_a_part_in_the_gain(self):
        wide = tried(WSD, 0.2, 0.21, options={"width": 64})
        found = build_report(study(tried(DEFAULT, 0.3, 0.31, role=Role.INCUMBENT, options={"width": 32}), wide))
        assert found.recommended.options == {"width": 64}
        assert any(
            one.startswith("The recommended schedule was trained with other options than the incumbent")
            for one in found.reservations
        )

    def test_a_searched_batch_size_is_said_to_change_the_data_seen(self):
        found = build_report(study(tried(DEFAULT, 0.3, role=Role.INCUMBENT, options={"batch_size": 32})))
        assert any("one with a larger batch saw more data" in one for one in found.reservations)
