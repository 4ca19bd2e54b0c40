"""What the search knows of a schedule that follows the loss: a training of its own, without a shape before its run."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.search.pruning.scaling_law import curve, started, study
from tests.unit.search.worth.test_loss_over_steps import CURVES, RIVAL
from tests.unit.search.worth.test_loss_over_steps import STEPS as WORTH_STEPS
from tests.unit.search.worth.test_loss_over_steps import curve as worth_curve
from tuner.schedules import Constant, ReduceOnPlateau, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.pruning.forecast import LossForecaster
from tuner.search.sampler.features import Features
from tuner.search.sampler.options import SearchedOptions
from tuner.search.stage_tree import likely_branch_points, prefix_key
from tuner.search.training_key import training_key
from tuner.search.worth.loss_over_steps import LossOverSteps

STEPS = 1_000
FAMILIES = st.builds(
    ReduceOnPlateau,
    factor=st.sampled_from([0.1, 0.3, 0.5, 0.9]),
    patience=st.integers(0, 30),
    cooldown=st.integers(0, 5),
)
WARMUP = Warmup(shape="linear", fraction=0.05)


def configuration(family: ReduceOnPlateau | Constant | Wsd, *, peak_lr: float = 0.02) -> Configuration:
    return Configuration(schedule=Schedule(peak_lr=peak_lr, family=family, warmup=WARMUP))


FOLLOWS = configuration(ReduceOnPlateau(factor=0.5, patience=1))


@given(one=FAMILIES, other=FAMILIES)
def test_two_of_them_are_one_training_only_where_they_are_equal(one: ReduceOnPlateau, other: ReduceOnPlateau):
    keys = [training_key(configuration(family), total_steps=STEPS) for family in (one, other, Constant())]
    assert (keys[0] == keys[1]) == (one == other)
    assert keys[2] not in keys[:2]


@given(family=FAMILIES)
def test_its_features_are_not_those_of_a_constant_rate(family: ReduceOnPlateau):
    pair = [configuration(family), configuration(Constant())]
    features = Features.of(pair, total_steps=STEPS, options=SearchedOptions({}))
    assert np.abs(features.curve[0] - features.curve[1]).max() > 0.05
    assert np.isfinite([*features.peak, *features.bound]).all()


def test_more_patience_is_a_later_reduction_to_the_sampler():
    rows = [configuration(ReduceOnPlateau(factor=0.5, patience=patience)) for patience in (0, 2, 4)]
    means = Features.of(rows, total_steps=STEPS, options=SearchedOptions({})).curve.mean(axis=1)
    assert means[0] < means[1] < means[2]


def test_it_shares_no_prefix_and_has_no_branch_points():
    hold = configuration(Wsd(cooldown=0.2)).schedule
    assert prefix_key(FOLLOWS.schedule, total_steps=STEPS, seed=1) is None
    assert prefix_key(hold, total_steps=STEPS, seed=1) is not None
    assert likely_branch_points(FOLLOWS.schedule, total_steps=STEPS) == ()
    assert likely_branch_points(hold, total_steps=STEPS) != ()


def test_its_runs_are_not_forecast():
    forecaster = LossForecaster(study(8), total_steps=STEPS)
    assert forecaster.predict(started(curve(configuration(Constant())), points=10)) is not None
    assert forecaster.predict(started(curve(FOLLOWS), points=10)) is None


def test_its_runs_are_no_basis_of_a_forecast():
    known, running = study(8), started(curve(configuration(Constant(), peak_lr=0.03)), points=10)
    followed = [curve(FOLLOWS, seed=seed, offset=-0.5) for seed in range(4)]
    assert LossForecaster(followed, total_steps=STEPS).predict(running) is None
    alone, beside = (LossForecaster(each, total_steps=STEPS) for each in (known, [*known, *followed]))
    assert beside.forecast(running) == alone.forecast(running)


def test_its_curves_do_not_say_what_more_steps_are_worth():
    followed = [worth_curve(FOLLOWS.schedule, seed=seed) for seed in range(3)]
    asked: dict[str, Any] = {"rival": RIVAL, "rival_loss": CURVES[2].points[-1][1], "worth": 0.5}
    without, among = (
        LossOverSteps(each, total_steps=WORTH_STEPS).margin(**asked) for each in (CURVES, [*CURVES, *followed])
    )
    assert among == without
    assert without is not None
    assert LossOverSteps(followed, total_steps=WORTH_STEPS).margin(**asked) is None


def test_an_incumbent_that_follows_the_loss_is_worth_what_its_stand_in_is():
    follows = configuration(ReduceOnPlateau(factor=0.1, patience=1), peak_lr=0.1)
    stand_in = Configuration(schedule=follows.schedule.stand_in)
    asked = {"rival_loss": CURVES[0].points[-1][1], "worth": 0.5}
    laws = LossOverSteps(CURVES, total_steps=WORTH_STEPS)
    margins = [laws.margin(rival=rival, **asked) for rival in (follows, stand_in)]
    assert margins[0] == margins[1]
    assert margins[0] is not None
