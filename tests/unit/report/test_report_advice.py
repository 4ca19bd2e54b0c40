from __future__ import annotations

from dataclasses import replace

import pytest

from tuner.errors import InvalidValue
from tuner.jobs.records import CurvePoint
from tuner.report.build import build_report
from tuner.report.study_result import RunCurve
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.decision.decisions import TrialStatus

STEPS = 900


def curve(trial, seed, losses, *, train=None):
    """Evaluations spread evenly over the horizon."""
    steps = [round(place * STEPS / (len(losses) - 1)) for place in range(len(losses))]
    train = train or losses
    return RunCurve(
        trial=trial,
        seed=seed,
        points=tuple(
            CurvePoint(step=step, lr=0.1, train_loss=t if step else None, val_loss=v)
            for step, v, t in zip(steps, losses, train, strict=True)
        ),
    )


def study(studies, schedule, *, rungs=(0.6, 0.5, 0.3), losses=None, seeds=3, train=None, trials=()):
    """A study with one confirmed candidate, whose runs all went like ``losses``."""
    result = studies.result(
        [studies.trial(0, schedule, *rungs), *trials], {0: studies.confirmed(*[0.3, 0.3, 0.3][:seeds])}
    )
    return replace(
        result, curves=tuple(curve(0, seed, losses, train=train) for seed in studies.seeds[:seeds]) if losses else ()
    )


def advice_of(result):
    return {advice.code.value: advice for advice in build_report(result).advice}


STEADY = [2.0, 1.2, 0.8, 0.6, 0.5, 0.42, 0.36, 0.32, 0.305, 0.3, 0.3]
SPIKED = [2.0, 0.9, 1.4, 0.7, 0.5, 0.42, 0.36, 0.32, 0.305, 0.3, 0.3]
FALLING = [2.0, 1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.42, 0.36, 0.3]
FLAT = [2.0, 0.9, 0.5, 0.35, 0.302, 0.301, 0.3, 0.3, 0.3, 0.3, 0.3]
LINEAR = Schedule(peak_lr=0.05, family=Linear(), warmup=Warmup(shape="linear", fraction=0.05))
SAME_RUNGS = (0.6, 0.301, 0.3)


class TestWarmup:
    def test_a_loss_that_jumps_up_after_the_warmup_calls_for_a_longer_one(self, studies):
        advice = advice_of(study(studies, LINEAR, losses=SPIKED, train=STEADY))["lengthen-warmup"]
        # The spike is at update 180: 1.4 - 0.9 of the whole descent from 2.0 to 0.3.
        assert advice.evidence["warmup_updates"] == 45
        assert advice.evidence["advised_updates"] == 180
        assert advice.evidence["largest_rise"] == pytest.approx(0.5 / 1.7)
        assert (advice.evidence["seeds_with_spike"], advice.evidence["seeds"]) == (3, 3)
        assert "Lengthen the warm-up to about 180 updates (20 %)" in advice.sentence

    def test_a_spike_of_the_training_loss_alone_counts_too(self, studies):
        assert "lengthen-warmup" in advice_of(study(studies, LINEAR, losses=STEADY, train=SPIKED))

    def test_a_steady_descent_a_late_jump_and_one_seed_call_for_nothing(self, studies):
        late = [2.0, 1.2, 0.8, 0.6, 0.5, 0.42, 0.36, 0.8, 0.305, 0.3, 0.3]
        assert "lengthen-warmup" not in advice_of(study(studies, LINEAR, losses=STEADY))
        assert "lengthen-warmup" not in advice_of(study(studies, LINEAR, losses=late))
        assert "lengthen-warmup" not in advice_of(study(studies, LINEAR, losses=SPIKED, seeds=1))

    def test_a_spike_on_a_minority_of_seeds_calls_for_nothing(self, studies):
        result = study(studies, LINEAR, losses=STEADY)
        curves = (*result.curves[:2], curve(0, result.curves[2].seed, SPIKED))
        assert "lengthen-warmup" not in advice_of(replace(result, curves=curves))

    def test_a_schedule_without_warmup_is_advised_one(self, studies):
        bare = Schedule(peak_lr=0.05, family=Linear())
        assert advice_of(study(studies, bare, losses=SPIKED))["lengthen-warmup"].evidence["warmup_updates"] == 0


class TestEnd:
    def test_a_loss_that_falls_at_a_high_rate_calls_for_decay_to_zero(self, studies):
        raised = Schedule(peak_lr=0.05, family=Cosine(), floor=0.1)
        advice = advice_of(study(studies, raised, losses=FALLING))["decay-to-zero"]
        assert advice.evidence["improvement"] == pytest.approx(0.06)
        assert advice.evidence["ends_at"] == pytest.approx(0.1, abs=0.01)

    def test_a_loss_that_falls_in_a_short_decay_calls_for_an_earlier_one(self, studies):
        late = Schedule(peak_lr=0.05, family=Wsd(cooldown=0.1))
        found = advice_of(study(studies, late, losses=FALLING))
        assert "decay-to-zero" not in found
        assert found["decay-earlier"].evidence["decay_share"] < 0.1

    def test_a_loss_that_falls_in_a_long_decay_says_nothing_about_the_decay(self, studies):
        assert not {"decay-to-zero", "decay-earlier"} & advice_of(study(studies, LINEAR, losses=FALLING)).keys()

    def test_a_constant_rate_whose_loss_is_flat_is_not_advised_to_decay(self, studies):
        flat = Schedule(peak_lr=0.05, family=Constant())
        assert "decay-to-zero" not in advice_of(study(studies, flat, losses=FLAT))

    def test_complete_schedules_that_gain_much_from_more_updates_call_for_a_longer_run(self, studies):
        # From 300 to 900 updates: 0.4 to 0.2, log2(3) doublings.
        advice = advice_of(study(studies, LINEAR, rungs=(0.6, 0.4, 0.2)))["train-longer"]
        assert advice.evidence["change_per_doubling"] == pytest.approx(1 - 0.5 ** (1 / 1.584963), rel=1e-5)

    def test_little_gain_from_more_updates_calls_for_no_longer_run(self, studies):
        assert "train-longer" not in advice_of(study(studies, LINEAR, rungs=(0.6, 0.32, 0.3)))

    def test_a_flat_end_and_no_gain_from_more_updates_mean_that_fewer_would_do(self, studies):
        advice = advice_of(study(studies, LINEAR, rungs=SAME_RUNGS, losses=FLAT))["fewer-updates"]
        assert advice.evidence["updates_before"] == 300
        assert "reached 0.3010 in 300 updates" in advice.sentence

    def test_a_flat_end_alone_or_equal_rungs_alone_do_not(self, studies):
        assert "fewer-updates" not in advice_of(study(studies, LINEAR, rungs=(0.6, 0.4, 0.3), losses=FLAT))
        assert "fewer-updates" not in advice_of(study(studies, LINEAR, rungs=SAME_RUNGS, losses=FALLING))
        assert "fewer-updates" not in advice_of(study(studies, LINEAR, rungs=SAME_RUNGS))


class TestPeak:
    def diverged(self, studies, number, schedule, peak):
        return studies.trial(number, schedule.model_copy(update={"peak_lr": peak}), None, status=TrialStatus.PRUNED)

    def test_one_threshold_for_all_is_told_as_one(self, studies):
        trials = [self.diverged(studies, 1, studies.wsd, 0.5), self.diverged(studies, 2, studies.constant, 0.7)]
        advice = advice_of(study(studies, LINEAR, trials=trials))["diverged-above"]
        assert advice.sentence.startswith("Keep the peak below 5.0e-01: 2 trials diverged, the lowest at 5.0e-01;")
        assert advice.evidence["highest_fine"] == 0.05
        assert advice.evidence["lowest_diverged.constant"] == 0.7

    def test_families_that_differ_are_told_one_by_one(self, studies):
        trials = [self.diverged(studies, 1, studies.constant, 0.02)]
        advice = advice_of(study(studies, LINEAR, trials=trials))["diverged-above"]
        assert (
            "By family, constant: 1 trial diverged, the lowest at 2.0e-02; no lower peak was tried" in advice.sentence
        )

    def test_without_divergence_nothing_is_said(self, studies):
        assert "diverged-above" not in advice_of(study(studies, LINEAR))


class TestFloor:
    RAISED = Schedule(peak_lr=0.05, family=Cosine(), floor=0.1)

    def pairs(self, studies, losses):
        bare = self.RAISED.model_copy(update={"floor": 0.0})
        return [
            studies.trial(n, bare.model_copy(update={"peak_lr": 0.05 + n / 1000}), 0.6, 0.5, loss)
            for n, loss in enumerate(losses, start=1)
        ]

    def test_a_floor_that_did_worse_in_every_pair_costs(self, studies):
        advice = advice_of(study(studies, self.RAISED, trials=self.pairs(studies, [0.28, 0.27, 0.26])))["floor-costs"]
        assert advice.evidence["pairs"] == 3
        assert advice.evidence["median_cost"] == pytest.approx(0.03)

    @pytest.mark.parametrize("losses", [[0.28, 0.27], [0.28, 0.27, 0.31], [0.299, 0.299, 0.299]])
    def test_few_pairs_disagreeing_pairs_and_small_differences_say_nothing(self, studies, losses):
        assert "floor-costs" not in advice_of(study(studies, self.RAISED, trials=self.pairs(studies, losses)))


def test_a_study_without_curves_and_with_one_rung_gets_no_advice(studies):
    result = studies.result([studies.trial(0, LINEAR, 0.3)], {0: studies.confirmed(0.3, 0.31)})
    result = replace(result, rung_steps=(900,))
    assert build_report(result).advice == ()


def test_curves_of_trials_that_do_not_exist_are_refused(studies):
    with pytest.raises(InvalidValue, match=r"curves must be of trials that exist, got \[7\]"):
        replace(study(studies, LINEAR), curves=(curve(7, 1, STEADY),))
