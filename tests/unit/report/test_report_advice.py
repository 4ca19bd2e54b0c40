"""Advice from the curves of the recommended schedule and from the trials; none where the evidence is thin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.report.studies import (
    CONSTANT,
    SEEDS,
    STEPS,
    WSD,
    FixedEstimates,
    at,
    evaluations,
    evidence,
    study,
    tried,
    with_curves,
)
from tuner.report.advice.advise import advise
from tuner.report.candidates import rank
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.worth import LossOverSteps

STEADY = [2.0, 1.2, 0.8, 0.6, 0.5, 0.42, 0.36, 0.32, 0.305, 0.3, 0.3]
SPIKED = [2.0, 0.9, 1.4, 0.7, 0.5, 0.42, 0.36, 0.32, 0.305, 0.3, 0.3]
FALLING = [2.0, 1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.42, 0.36, 0.3]
FLAT = [2.0, 0.9, 0.5, 0.35, 0.302, 0.301, 0.3, 0.3, 0.3, 0.3, 0.3]
LINEAR = Schedule(peak_lr=0.05, family=Linear(), warmup=Warmup(shape="linear", fraction=0.05))


def with_runs(schedule, *, losses=None, seeds=3, train=None, trials=()):
    """A study whose recommended trial, number 0, has runs that all went like ``losses``."""
    result = study(tried(schedule, *[0.3] * seeds), *trials)
    if losses is None:
        return result
    points = evaluations(*losses)
    if train is not None:
        points = tuple(
            replace(point, train_loss=loss if point.step else None) for point, loss in zip(points, train, strict=True)
        )
    return with_curves(result, {(0, seed): points for seed in SEEDS[:seeds]})


def advice_of(result, *, loss_over_steps=None):
    others = {trial.number: (-0.1, -0.2, 0.0) for trial in result.state.trials if trial.number}
    known = evidence(result, FixedEstimates(others, noise_std=0.001))
    if loss_over_steps is not None:
        known = replace(known, loss_over_steps=loss_over_steps)
    recommended = next(one for one in rank(known) if one.trial == 0)
    return {advice.code.value: advice for advice in advise(known, recommended=recommended)}


class TestWarmup:
    def test_a_loss_that_jumps_up_after_the_warmup_calls_for_a_longer_one(self):
        advice = advice_of(with_runs(LINEAR, losses=SPIKED, train=STEADY))["lengthen-warmup"]
        # The spike is at update 180: 1.4 - 0.9 of the whole descent from 2.0 to 0.3.
        assert advice.evidence["warmup_updates"] == 45
        assert advice.evidence["advised_updates"] == 180
        assert advice.evidence["largest_rise"] == pytest.approx(0.5 / 1.7)
        assert (advice.evidence["seeds_with_spike"], advice.evidence["seeds"]) == (3, 3)
        assert "Lengthen the warm-up to about 180 updates (20 %)" in advice.sentence

    def test_a_spike_of_the_training_loss_alone_counts_too(self):
        assert "lengthen-warmup" in advice_of(with_runs(LINEAR, losses=STEADY, train=SPIKED))

    def test_a_steady_descent_a_late_jump_and_one_seed_call_for_nothing(self):
        late = [2.0, 1.2, 0.8, 0.6, 0.5, 0.42, 0.36, 0.8, 0.305, 0.3, 0.3]
        assert "lengthen-warmup" not in advice_of(with_runs(LINEAR, losses=STEADY))
        assert "lengthen-warmup" not in advice_of(with_runs(LINEAR, losses=late))
        assert "lengthen-warmup" not in advice_of(with_runs(LINEAR, losses=SPIKED, seeds=1))

    def test_a_spike_on_a_minority_of_seeds_calls_for_nothing(self):
        result = with_curves(with_runs(LINEAR, losses=STEADY), {(0, SEEDS[2]): evaluations(*SPIKED)})
        assert "lengthen-warmup" not in advice_of(result)

    def test_a_schedule_without_warmup_is_advised_one(self):
        bare = Schedule(peak_lr=0.05, family=Linear())
        assert advice_of(with_runs(bare, losses=SPIKED))["lengthen-warmup"].evidence["warmup_updates"] == 0

    def test_the_curves_of_other_trials_show_nothing_of_the_recommended_one(self):
        result = with_runs(LINEAR, losses=STEADY, trials=[tried(WSD, 0.4, 0.4, 0.4)])
        result = with_curves(result, {(1, seed): evaluations(*SPIKED) for seed in SEEDS[:3]})
        assert "lengthen-warmup" not in advice_of(result)


class TestDecay:
    def test_a_loss_that_falls_at_a_high_rate_calls_for_decay_to_zero(self):
        raised = Schedule(peak_lr=0.05, family=Cosine(), floor=0.1)
        advice = advice_of(with_runs(raised, losses=FALLING))["decay-to-zero"]
        assert advice.evidence["improvement"] == pytest.approx(0.06)
        assert advice.evidence["ends_at"] == pytest.approx(0.1, abs=0.01)

    def test_a_loss_that_falls_in_a_short_decay_calls_for_an_earlier_one(self):
        late = Schedule(peak_lr=0.05, family=Wsd(cooldown=0.1))
        found = advice_of(with_runs(late, losses=FALLING))
        assert "decay-to-zero" not in found
        assert found["decay-earlier"].evidence["decay_share"] < 0.1

    def test_a_loss_that_falls_in_a_long_decay_says_nothing_about_the_decay(self):
        assert not {"decay-to-zero", "decay-earlier"} & advice_of(with_runs(LINEAR, losses=FALLING)).keys()

    def test_a_constant_rate_whose_loss_is_flat_is_not_advised_to_decay(self):
        flat = Schedule(peak_lr=0.05, family=Constant())
        assert "decay-to-zero" not in advice_of(with_runs(flat, losses=FLAT))


class Doubling(LossOverSteps):
    """Steps of which twice as many gain a fixed loss."""

    def __init__(self, gain):
        super().__init__((), total_steps=STEPS)
        self.gain = gain

    def margin(self, *, rival, rival_loss, worth):
        assert worth == 1.0
        return self.gain


class TestLength:
    def test_much_gain_from_twice_the_updates_calls_for_a_longer_run(self):
        advice = advice_of(with_runs(LINEAR), loss_over_steps=Doubling(0.05))["train-longer"]
        assert advice.evidence["value_at_twice_the_updates"] == pytest.approx(0.25)
        assert "with twice the updates the validation loss would go from 0.3000 to about 0.2500" in advice.sentence

    @pytest.mark.parametrize("gain", [0.02, None])
    def test_little_gain_or_none_that_is_known_calls_for_no_longer_run(self, gain):
        assert "train-longer" not in advice_of(with_runs(LINEAR), loss_over_steps=Doubling(gain))


class TestPeak:
    def test_one_threshold_for_all_is_said_as_one(self):
        trials = [tried(at(WSD, 0.5), None), tried(at(CONSTANT, 0.7), None)]
        advice = advice_of(with_runs(LINEAR, trials=trials))["diverged-above"]
        assert advice.sentence.startswith("Keep the peak below 5.0e-01: 2 trials diverged, the lowest at 5.0e-01;")
        assert advice.evidence["highest_fine"] == 0.05
        assert advice.evidence["lowest_diverged.constant"] == 0.7

    def test_families_that_differ_are_described_one_by_one(self):
        advice = advice_of(with_runs(LINEAR, trials=[tried(CONSTANT, None)]))["diverged-above"]
        assert (
            "By family, constant: 1 trial diverged, the lowest at 2.0e-02; no lower peak was tried" in advice.sentence
        )

    def test_a_trial_that_diverged_on_a_later_seed_counts(self):
        assert "diverged-above" in advice_of(with_runs(LINEAR, trials=[tried(at(WSD, 0.5), 0.4, None)]))

    def test_without_divergence_nothing_is_said(self):
        assert "diverged-above" not in advice_of(with_runs(LINEAR))


class TestFloor:
    RAISED = Schedule(peak_lr=0.05, family=Cosine(), floor=0.1)

    def pairs(self, losses):
        bare = self.RAISED.model_copy(update={"floor": 0.0})
        return [tried(at(bare, 0.05 + n / 1000), loss) for n, loss in enumerate(losses, start=1)]

    def test_a_floor_that_did_worse_in_every_pair_costs(self):
        advice = advice_of(with_runs(self.RAISED, trials=self.pairs([0.28, 0.27, 0.26])))["floor-costs"]
        assert advice.evidence["pairs"] == 3
        assert advice.evidence["median_cost"] == pytest.approx(0.03)

    @pytest.mark.parametrize("losses", [[0.28, 0.27], [0.28, 0.27, 0.31], [0.299, 0.299, 0.299]])
    def test_few_pairs_disagreeing_pairs_and_small_differences_say_nothing(self, losses):
        assert "floor-costs" not in advice_of(with_runs(self.RAISED, trials=self.pairs(losses)))


def test_a_study_without_curves_gets_no_advice_from_any():
    assert advice_of(with_runs(LINEAR)) == {}
