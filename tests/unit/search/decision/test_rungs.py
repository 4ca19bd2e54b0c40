from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.schedules import Cosine, Schedule, Warmup
from tuner.search.decision.rungs import (
    MIN_RUNG_STEPS,
    confirm_seeds,
    price,
    reserved_seeds,
    rung_schedule,
    rung_steps,
    search_seed,
)
from tuner.search.settings import MAX_RUNG_RATIO, SearchSettings


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (SearchSettings(total_steps=900, rungs=3), (100, 300, 900)),
        (SearchSettings(total_steps=1000, rungs=3), (112, 334, 1000)),
        (SearchSettings(total_steps=1000, rungs=1), (1000,)),
        (SearchSettings(total_steps=1000, ratio=2.0, rungs=4), (125, 250, 500, 1000)),
        (SearchSettings(total_steps=50, rungs=3), (17, 50)),
        (SearchSettings(total_steps=10), (10,)),
        (SearchSettings(total_steps=20, ratio=1.01, rungs=6), (20,)),
        (SearchSettings(total_steps=5_997), (5_997,)),  # by default, no rung is under 2,000 updates, ...
        (SearchSettings(total_steps=5_998), (2_000, 5_998)),
        (SearchSettings(total_steps=50_000), (5_556, 16_667, 50_000)),
        (SearchSettings(total_steps=10**8), (11_111_112, 33_333_334, 10**8)),  # ... and there are three at most
    ],
)
def test_rungs_divide_the_horizon_down_to_what_is_still_a_run(settings: SearchSettings, steps: tuple[int, ...]) -> None:
    assert rung_steps(settings) == steps


@given(total=st.integers(10, 10**8), ratio=st.floats(1.01, MAX_RUNG_RATIO), rungs=st.integers(1, 6))
def test_rungs_ascend_to_the_horizon_and_never_leap_further_than_the_ratio(
    total: int, ratio: float, rungs: int
) -> None:
    steps = rung_steps(SearchSettings(total_steps=total, ratio=ratio, rungs=rungs))

    assert 1 <= len(steps) <= rungs
    assert steps[-1] == total
    assert steps[0] >= MIN_RUNG_STEPS
    assert all(low < high <= ratio * low * (1 + 1e-12) for low, high in pairwise(steps))


@pytest.mark.parametrize(
    ("total", "fraction", "warmups"),
    [
        (900, 0.01, (9, 9, 9)),  # as many updates at every rung, ...
        (900, 0.05, (10, 30, 45)),  # ... as far as that is a tenth of it, ...
        (900, 0.2, (20, 60, 180)),  # ... and never a smaller fraction
        (90_000, 0.002, (180, 180, 180)),
        (90_000, 0.05, (1_000, 3_000, 4_500)),
    ],
)
def test_the_warmup_keeps_its_updates_up_to_a_tenth_of_the_rung_and_its_fraction_always(
    total: int, fraction: float, warmups: tuple[int, ...]
) -> None:
    settings = SearchSettings(total_steps=total, rungs=3)
    schedule = Schedule(peak_lr=1.0, family=Cosine(), warmup=Warmup(shape="linear", fraction=fraction))

    rungs = [rung_schedule(schedule, settings=settings, rung=rung) for rung in range(3)]

    lengths = tuple(rung.warmup.length(steps) for rung, steps in zip(rungs, rung_steps(settings), strict=True))
    assert lengths == warmups
    assert rungs[-1] is schedule
    assert {rung.peak_lr for rung in rungs} == {1.0}


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_seeds_of_the_confirmation_are_fresh_and_fit_a_database(seed: int) -> None:
    settings = SearchSettings(total_steps=100, seed=seed, confirm_seeds=50)

    seeds = confirm_seeds(settings)

    assert len(set(seeds)) == 50
    assert search_seed(settings) == seed
    assert seed not in seeds
    assert all(0 <= one < 2**31 for one in seeds)


def test_the_price_bounds_every_rung_and_the_confirmation() -> None:
    bound = price(SearchSettings(total_steps=900, rungs=3, trials=24))

    assert bound.rung_runs == (24, 10, 7)  # a quarter, and up to two of each measured group: one per cohort
    assert bound.audit_runs == 3  # a tenth of 23
    assert bound.confirm_runs == 5 * 5
    assert bound.updates == 24 * 100 + 10 * 300 + 7 * 900 + 3 * 900 + 25 * 900
    assert bound.updates_all_full == 24 * 900
    assert bound.least == 3 * (1300 + 900)


def test_a_search_of_one_rung_prunes_nothing_and_audits_nothing() -> None:
    bound = price(SearchSettings(total_steps=900, trials=24, audit=1.0))

    assert (bound.rung_runs, bound.audit_runs) == ((24,), 0)


def test_without_controls_only_finalists_are_confirmed_and_without_seeds_nothing_is() -> None:
    settings = SearchSettings(total_steps=900, trials=24, controls=False)

    assert price(settings).confirm_runs == 3 * 5
    assert price(settings).least == 900 + 900
    assert price(settings.model_copy(update={"confirm_seeds": 0})).confirm_runs == 0
    assert price(settings.model_copy(update={"confirm_seeds": 0})).least == 900


def test_the_price_never_exceeds_the_limit() -> None:
    assert price(SearchSettings(total_steps=900, max_updates=5_000)).updates == 5_000


@pytest.mark.parametrize(("limit", "seeds"), [(None, 5), (10, 1), (8_100, 1), (16_200, 2), (10**9, 5)])
def test_a_third_of_the_limit_is_reserved_for_seeds(limit: int | None, seeds: int) -> None:
    assert reserved_seeds(SearchSettings(total_steps=900, max_updates=limit)) == seeds
