"""How many times the steps a schedule would need, where the truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import InvalidValue
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.pruning.forecast import Curve
from tuner.search.worth import LossOverSteps, Normal
from tuner.search.worth.loss_over_steps import MAX_FACTOR
from tuner.training.evaluation_steps import evaluation_steps

STEPS = 2000
WARMUP = Warmup(shape="linear", fraction=0.05)
SCHEDULES = tuple(
    Schedule(peak_lr=peak, family=family, warmup=WARMUP, floor=floor)
    for family, floor in ((Cosine(), 0.0), (Cosine(), 0.1), (Wsd(cooldown=0.3, shape="linear"), 0.0), (Linear(), 0.0))
    for peak in (0.1, 0.05)
)
RIVAL = Configuration(schedule=SCHEDULES[2])


def law(lrs: np.ndarray, *, floor: float = 1.0, exponent: float = 0.45) -> np.ndarray:
    """``[T]``, the loss after each step: not one of those fitted, and its noise fades by a power."""
    times = np.cumsum(lrs) / (0.1 * STEPS)
    ages = times[:, None] - times[None, :]
    kernel = np.where(ages >= 0, (1.0 + np.maximum(ages, 0.0) / 0.02) ** -2.0, 0.0)
    noise = kernel @ np.square(lrs) / (0.1 * STEPS * 0.1 * 0.02)
    return floor + 0.4 * (times + 0.01) ** -exponent + 0.3 * noise


def loss_at(configuration: Configuration, steps: int) -> float:
    schedule = configuration.schedule.compressed(steps, from_steps=STEPS)
    return float(law(schedule.lrs(steps))[-1])


def curve(
    schedule: Schedule,
    *,
    steps: int = STEPS,
    seed: int = 0,
    of: Callable[[np.ndarray], np.ndarray] = law,
    options: tuple[tuple[str, float], ...] = (),
) -> Curve:
    stretched = schedule if steps == STEPS else schedule.compressed(steps, from_steps=STEPS)
    losses = of(stretched.lrs(steps))
    return Curve(
        configuration=Configuration(schedule=schedule, options=options),
        seed=seed,
        total_steps=steps,
        points=tuple((step, float(losses[step - 1])) for step in evaluation_steps(steps)),
    )


CURVES = tuple(curve(schedule) for schedule in SCHEDULES)


def exactly(loss: float) -> Normal:
    return Normal(mean=loss, std=0.0)


@pytest.mark.parametrize("stretch", [0.5, 0.8, 1.25, 1.5, 2.0])
def test_the_interval_covers_a_stretch_whose_loss_is_known(stretch: float) -> None:
    found = LossOverSteps(CURVES, total_steps=STEPS).factor(
        rival=RIVAL,
        rival_loss=exactly(loss_at(RIVAL, STEPS)),
        loss=exactly(loss_at(RIVAL, round(stretch * STEPS))),
    )
    assert found is not None
    assert found.low <= stretch <= (found.high or MAX_FACTOR)
    assert math.log(found.factor) == pytest.approx(math.log(stretch), rel=0.25)
    assert found.basis == "the curves of 8 runs"


def test_the_margin_is_what_five_per_cent_more_steps_gain() -> None:
    gained = loss_at(RIVAL, STEPS) - loss_at(RIVAL, round(1.05 * STEPS))
    margin = LossOverSteps(CURVES, total_steps=STEPS).margin(rival=RIVAL, rival_loss=loss_at(RIVAL, STEPS), worth=0.05)
    assert margin == pytest.approx(gained, rel=0.3)


def noisy(curves: tuple[Curve, ...], *, std: float) -> tuple[Curve, ...]:
    rng = np.random.default_rng(0)
    return tuple(
        replace(one, points=tuple((step, loss + std * rng.standard_normal()) for step, loss in one.points))
        for one in curves
    )


def width(curves: tuple[Curve, ...]) -> float:
    """Of the interval of a factor that is truly 1.5, as a factor; the interval covers it."""
    found = LossOverSteps(curves, total_steps=STEPS).factor(
        rival=RIVAL, rival_loss=exactly(loss_at(RIVAL, STEPS)), loss=exactly(loss_at(RIVAL, round(1.5 * STEPS)))
    )
    assert found is not None
    assert found.low <= 1.5 <= (found.high or MAX_FACTOR)
    return (found.high or MAX_FACTOR) / found.low


def test_runs_at_other_lengths_narrow_the_interval() -> None:
    shorter = tuple(curve(schedule, steps=STEPS // 2) for schedule in SCHEDULES)
    few = noisy(CURVES[:4], std=0.02)
    assert width((*few, *noisy(shorter, std=0.02))) < width(few)


def test_runs_at_other_lengths_are_named_as_the_basis() -> None:
    shorter = tuple(curve(schedule, steps=STEPS // 2) for schedule in SCHEDULES[:2])
    found = LossOverSteps((*CURVES, *shorter), total_steps=STEPS).factor(
        rival=RIVAL, rival_loss=exactly(loss_at(RIVAL, STEPS)), loss=exactly(loss_at(RIVAL, STEPS))
    )
    assert found is not None
    assert found.basis == "the curves of 10 runs, and runs at 2 lengths"


def test_uncertain_losses_widen_the_interval() -> None:
    over_steps = LossOverSteps(CURVES, total_steps=STEPS)
    loss, target = loss_at(RIVAL, STEPS), loss_at(RIVAL, round(1.3 * STEPS))
    sure = over_steps.factor(rival=RIVAL, rival_loss=exactly(loss), loss=exactly(target))
    unsure = over_steps.factor(rival=RIVAL, rival_loss=Normal(mean=loss, std=0.04), loss=Normal(mean=target, std=0.04))
    assert sure is not None
    assert unsure is not None
    assert unsure.low < 1.0 < sure.low
    assert unsure.high is None or unsure.high > (sure.high or 0.0)


def test_a_loss_below_the_floor_has_no_highest_factor() -> None:
    found = LossOverSteps(CURVES, total_steps=STEPS).factor(
        rival=RIVAL, rival_loss=exactly(loss_at(RIVAL, STEPS)), loss=exactly(0.5)
    )
    assert found is not None
    assert found.high is None
    assert found.factor == pytest.approx(MAX_FACTOR)


@given(gains=st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=2).map(sorted))
@settings(max_examples=25, deadline=None)
def test_a_lower_loss_never_needs_fewer_steps(gains: list[float]) -> None:
    loss = loss_at(RIVAL, STEPS)
    smaller, larger = (
        OVER_STEPS.factor(rival=RIVAL, rival_loss=exactly(loss), loss=exactly(loss - gain)) for gain in gains
    )
    assert smaller is not None
    assert larger is not None
    assert smaller.factor <= larger.factor
    assert smaller.low <= smaller.factor <= (smaller.high or MAX_FACTOR)


OVER_STEPS = LossOverSteps(CURVES, total_steps=STEPS)


def none_for(curves: tuple[Curve, ...], *, rival: Configuration = RIVAL, loss: float = 1.5) -> bool:
    over_steps = LossOverSteps(curves, total_steps=STEPS)
    factor = over_steps.factor(rival=rival, rival_loss=exactly(loss), loss=exactly(loss - 0.01))
    margin = over_steps.margin(rival=rival, rival_loss=loss, worth=0.05)
    assert (factor is None) == (margin is None)
    return factor is None


def test_steps_cannot_be_compared_without_curves() -> None:
    assert none_for(())


def test_steps_cannot_be_compared_for_a_metric_that_is_maximized() -> None:
    assert none_for(tuple(curve(schedule, of=lambda lrs: law(lrs) - 3.0) for schedule in SCHEDULES), loss=-1.5)


def test_steps_cannot_be_compared_from_fewer_than_five_evaluations() -> None:
    few = tuple(
        Curve(configuration=one.configuration, seed=0, total_steps=STEPS, points=one.points[-4:]) for one in CURVES
    )
    assert none_for(few)


def test_steps_cannot_be_compared_where_the_loss_rises_at_the_end() -> None:
    def overfit(lrs: np.ndarray) -> np.ndarray:
        return 1.5 + 0.5 * np.square(np.linspace(-0.6, 1.0, len(lrs)))

    assert none_for(tuple(curve(schedule, of=overfit) for schedule in SCHEDULES), loss=2.0)


def test_steps_cannot_be_compared_for_a_rival_whose_own_loss_rises_at_the_end() -> None:
    rising = tuple((step, loss + 1.0 * max(step / STEPS - 0.5, 0.0)) for step, loss in CURVES[2].points)
    curves = (*CURVES[:2], replace(CURVES[2], points=rising), *CURVES[3:])
    assert none_for(curves, loss=rising[-1][1])
    assert not none_for(curves, rival=CURVES[1].configuration, loss=CURVES[1].points[-1][1])


def test_steps_cannot_be_compared_where_shorter_runs_end_lower() -> None:
    shorter = [curve(schedule, steps=STEPS // 2) for schedule in SCHEDULES[:3]]
    lower = [replace(one, points=tuple((step, loss - 0.25) for step, loss in one.points)) for one in shorter]
    assert not none_for((*CURVES, *shorter), loss=loss_at(RIVAL, STEPS))
    assert none_for((*CURVES, *lower), loss=loss_at(RIVAL, STEPS))


def test_evaluation_noise_widens_the_interval() -> None:
    assert width(noisy(CURVES, std=0.03)) > width(CURVES)


def test_steps_cannot_be_compared_for_a_rival_whose_loss_the_law_does_not_explain() -> None:
    assert none_for(CURVES, loss=loss_at(RIVAL, STEPS) + 1.0)


def test_runs_with_other_options_say_nothing_about_a_rival() -> None:
    others = tuple(curve(schedule, options=(("dropout", 0.5),)) for schedule in SCHEDULES)
    assert none_for(others)


def test_a_diverged_run_changes_nothing() -> None:
    points = ((100, 2.0), (200, 50.0), (2000, math.inf))
    diverged = Curve(
        configuration=Configuration(schedule=Schedule(peak_lr=9.0, family=Constant())),
        seed=0,
        total_steps=STEPS,
        points=points,
    )
    loss = loss_at(RIVAL, STEPS)
    with_it = LossOverSteps((*CURVES, diverged), total_steps=STEPS).margin(rival=RIVAL, rival_loss=loss, worth=0.05)
    assert with_it == OVER_STEPS.margin(rival=RIVAL, rival_loss=loss, worth=0.05)


def test_a_horizon_of_no_steps_is_refused() -> None:
    with pytest.raises(InvalidValue, match="total_steps"):
        LossOverSteps((), total_steps=0)
