"""Scaling to another batch size: the new peak, the lengths, and the caveats."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedules.strategies import EXAMPLES, Case, cases, example
from tuner.errors import InvalidValue
from tuner.schedules import Cosine, Schedule, Updates, Warmup, Wsd
from tuner.schedules.scaling import MAX_BATCH, ScaledFor, ScalingRule, scaled_to_batch

BATCHES = st.integers(min_value=1, max_value=100_000)
SCHEDULE = Schedule(
    peak_lr=0.1, family=Wsd(cooldown=Updates(updates=40)), warmup=Warmup(shape="linear", updates=20), floor=0.1
)


@pytest.mark.parametrize(("rule", "factor"), [(ScalingRule.SQRT, 2.0), (ScalingRule.LINEAR, 4.0)])
def test_the_peak_follows_the_rule_and_every_rate_with_it(rule: ScalingRule, factor: float):
    scaled = scaled_to_batch(SCHEDULE, rule=rule, from_batch=256, to_batch=1024)
    assert scaled.factor == factor
    assert scaled.schedule.lrs(200) == pytest.approx(factor * SCHEDULE.lrs(200), rel=1e-12)
    assert scaled.schedule.model_copy(update={"peak_lr": SCHEDULE.peak_lr}) == SCHEDULE


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_family_can_be_scaled(name: str):
    schedule = example(name, floor=0.05)
    scaled = scaled_to_batch(schedule, rule=ScalingRule.LINEAR, from_batch=2, to_batch=1).schedule
    assert scaled.lrs(1200) == pytest.approx(schedule.lrs(1200) / 2, rel=1e-12)
    assert Schedule.from_json(scaled.to_json()) == scaled


@given(cases(), st.sampled_from(ScalingRule), BATCHES, BATCHES)
def test_scaling_there_and_back_restores_the_schedule(case: Case, rule: ScalingRule, one: int, other: int):
    there = scaled_to_batch(case.schedule, rule=rule, from_batch=one, to_batch=other)
    back = scaled_to_batch(there.schedule, rule=rule, from_batch=other, to_batch=one)
    assert there.factor * back.factor == pytest.approx(1, rel=1e-12)
    assert back.schedule.peak_lr == pytest.approx(case.schedule.peak_lr, rel=1e-12)


@pytest.mark.parametrize("rule", ScalingRule)
def test_the_same_batch_changes_nothing_and_warns_of_nothing(rule: ScalingRule):
    scaled = scaled_to_batch(SCHEDULE, rule=rule, from_batch=64, to_batch=64, optimizer="adam")
    assert (scaled.schedule, scaled.factor, scaled.caveats) == (SCHEDULE, 1.0, ())


@pytest.mark.parametrize(
    ("rule", "optimizer", "words"),
    [
        (ScalingRule.LINEAR, "adam", "use the square root rule"),
        (ScalingRule.SQRT, "sgd", "linear rule is the usual one"),
        (ScalingRule.LINEAR, None, "derived for SGD"),
        (ScalingRule.SQRT, None, "derived for Adam"),
        (ScalingRule.SQRT, "adam", "suits the optimizer"),
    ],
)
def test_the_first_caveat_says_whether_the_rule_suits(rule: ScalingRule, optimizer: ScaledFor | None, words: str):
    scaled = scaled_to_batch(SCHEDULE, rule=rule, from_batch=64, to_batch=128, optimizer=optimizer)
    assert words in scaled.caveats[0]


def test_caveats_fit_the_case():
    bare = Schedule(peak_lr=0.1, family=Cosine())
    far = " ".join(scaled_to_batch(bare, rule=ScalingRule.LINEAR, from_batch=64, to_batch=6400).caveats)
    assert "0.01 times as many updates" in far
    assert "critical batch size" in far
    assert "warm-up" in far
    assert "100 times apart" in far
    down = " ".join(scaled_to_batch(bare, rule=ScalingRule.LINEAR, from_batch=64, to_batch=32).caveats)
    assert "critical" not in down
    assert "warm-up" not in down
    assert "times apart" not in down


def test_caveats_mention_betas_unless_sgd_trains():
    def mentions_betas(optimizer: ScaledFor | None) -> bool:
        scaled = scaled_to_batch(SCHEDULE, rule=ScalingRule.SQRT, from_batch=1, to_batch=2, optimizer=optimizer)
        return any("beta" in caveat for caveat in scaled.caveats)

    assert (mentions_betas("adam"), mentions_betas(None), mentions_betas("sgd")) == (True, True, False)


@pytest.mark.parametrize("batch", [0, -1, MAX_BATCH + 1, 1.5, True])
@pytest.mark.parametrize("field", ["from_batch", "to_batch"])
def test_a_batch_out_of_range_is_refused(field: str, batch: int):
    sizes = {"from_batch": 1, "to_batch": 1} | {field: batch}
    with pytest.raises(InvalidValue, match=field):
        scaled_to_batch(SCHEDULE, rule=ScalingRule.SQRT, from_batch=sizes["from_batch"], to_batch=sizes["to_batch"])


@pytest.mark.parametrize(("peak", "batches"), [(1e300, (1, MAX_BATCH)), (5e-324, (MAX_BATCH, 1))])
def test_a_peak_that_no_number_holds_is_refused(peak: float, batches: tuple[int, int]):
    schedule = Schedule(peak_lr=peak, family=Cosine())
    with pytest.raises(InvalidValue, match="to_batch"):
        scaled_to_batch(schedule, rule=ScalingRule.LINEAR, from_batch=batches[0], to_batch=batches[1])
    assert math.isfinite(schedule.peak_lr)
