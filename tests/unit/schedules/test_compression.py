from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedules.strategies import EXAMPLES, Case, cases, example
from tuner.errors import InvalidValue
from tuner.schedules import (
    MIN_WARMUP,
    Cosine,
    Cyclic,
    Linear,
    ReduceOnPlateau,
    Schedule,
    Sgdr,
    Updates,
    Warmup,
    Wsd,
)


def _after_warmup(schedule: Schedule, *, total_steps: int, points: int) -> list[float]:
    """Rates at ``points`` + 1 even steps of progress from 0 to 1; needs the stretch to be a multiple of ``points``."""
    begin = schedule.warmup.length(total_steps)
    stride = (total_steps - begin) // points
    return [schedule.lr(begin + k * stride, total_steps=total_steps) for k in range(points + 1)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_compressed_schedule_has_the_same_rate_at_the_same_progress(name: str):
    schedule = example(name, floor=0.05)
    small = schedule.compressed(400, from_steps=1200, min_warmup=0)
    assert _after_warmup(small, total_steps=400, points=20) == pytest.approx(
        _after_warmup(schedule, total_steps=1200, points=20), rel=1e-9
    )


def test_a_schedule_of_fractions_alone_is_its_own_compression():
    schedule = Schedule(peak_lr=0.1, family=Wsd(cooldown=0.4), warmup=Warmup(shape="linear", fraction=0.1))
    assert schedule.compressed(1_000, from_steps=3_000, min_warmup=10) == schedule


def test_lengths_in_updates_scale_with_the_run():
    schedule = Schedule(
        peak_lr=0.1, family=Wsd(cooldown=Updates(updates=600)), warmup=Warmup(shape="cosine", updates=300)
    )
    small = schedule.compressed(1_000, from_steps=3_000, min_warmup=10)
    assert small.warmup == Warmup(shape="cosine", updates=100)
    assert small.family == Wsd(cooldown=Updates(updates=200))
    assert (small.peak_lr, small.floor) == (schedule.peak_lr, schedule.floor)


def test_a_warm_up_keeps_its_floor_in_updates():
    schedule = Schedule(peak_lr=0.1, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.05))
    assert schedule.compressed(300, from_steps=900, min_warmup=40).warmup == Warmup(shape="linear", updates=40)


def test_a_warm_up_shorter_than_its_floor_keeps_its_length():
    schedule = Schedule(peak_lr=0.1, family=Cosine(), warmup=Warmup(shape="linear", updates=6))
    assert schedule.compressed(300, from_steps=900).warmup == schedule.warmup
    assert MIN_WARMUP > 6


def test_a_warm_ups_floor_takes_no_more_than_half_of_the_run():
    schedule = Schedule(peak_lr=0.1, family=Cosine(), warmup=Warmup(shape="linear", updates=100))
    assert schedule.compressed(30, from_steps=900, min_warmup=50).warmup.length(30) == 15


def test_when_the_warm_up_keeps_its_minimum_the_rest_still_fits():
    schedule = Schedule(
        peak_lr=0.1, family=Wsd(cooldown=Updates(updates=900)), warmup=Warmup(shape="linear", updates=100)
    )
    small = schedule.compressed(100, from_steps=1_000, min_warmup=50)
    assert small.family == Wsd(cooldown=Updates(updates=50))
    small.lrs(100)


@given(case=cases(), to_steps=st.integers(1, 800), min_warmup=st.integers(0, 50))
def test_a_schedule_that_fits_can_be_compressed_to_any_length_that_shows_its_cycles(
    case: Case, to_steps: int, min_warmup: int
):
    refused = None
    try:
        small = case.schedule.compressed(to_steps, from_steps=case.total_steps, min_warmup=min_warmup)
    except InvalidValue as error:
        refused = error.field
    if refused is not None:
        assert refused in {"family.cycles", "family.period"}
        return
    assert small.lrs(to_steps).shape == (to_steps,)
    assert Schedule.from_json(small.to_json()) == small
    assert small.lr(to_steps, total_steps=to_steps) == pytest.approx(
        case.schedule.lr(case.total_steps, total_steps=case.total_steps), rel=1e-9, abs=1e-15
    )


@given(case=cases())
def test_compressing_to_the_same_length_changes_no_rate(case: Case):
    same = case.schedule.compressed(case.total_steps, from_steps=case.total_steps)
    np.testing.assert_allclose(same.lrs(case.total_steps), case.schedule.lrs(case.total_steps), rtol=1e-12)


def test_a_longer_run_stretches_the_schedule():
    schedule = Schedule(peak_lr=0.1, family=Wsd(cooldown=Updates(updates=20)))
    assert schedule.compressed(300, from_steps=100).family == Wsd(cooldown=Updates(updates=60))


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("to_steps", {"to_steps": 0, "from_steps": 10}),
        ("from_steps", {"to_steps": 10, "from_steps": 0}),
        ("min_warmup", {"to_steps": 10, "from_steps": 20, "min_warmup": -1}),
    ],
)
def test_invalid_lengths_are_refused(field, arguments):
    with pytest.raises(InvalidValue, match=f"{field} must be a whole number of at least"):
        Schedule(peak_lr=0.1, family=Linear()).compressed(**arguments)


def test_what_does_not_fit_into_its_own_run_is_not_compressed():
    schedule = Schedule(peak_lr=0.1, family=Wsd(cooldown=Updates(updates=100)))
    with pytest.raises(InvalidValue, match=r"family\.cooldown must be at most the 50 updates"):
        schedule.compressed(10, from_steps=50)


@pytest.mark.parametrize("family", [Cyclic(cycles=20), Sgdr(cycles=20)])
def test_more_cycles_than_the_compressed_run_can_show_are_refused(family):
    schedule = Schedule(peak_lr=0.1, family=family)
    assert schedule.compressed(40, from_steps=1_000).family == family
    with pytest.raises(InvalidValue, match=r"family\.cycles must be at most 19, so that each has 2 of the 39 updates"):
        schedule.compressed(39, from_steps=1_000)


def test_a_schedule_that_follows_the_loss_scales_its_warmup_alone():
    schedule = Schedule(peak_lr=0.1, family=ReduceOnPlateau(), warmup=Warmup(shape="linear", updates=100))
    compressed = schedule.compressed(500, from_steps=1_000)
    assert compressed.family == schedule.family
    assert compressed.warmup.length(500) == 50
