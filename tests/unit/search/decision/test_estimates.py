"""Expected losses of trials, their differences, and the recommendation."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.unit.search.decision.study_states import (
    DIVERGED,
    INCUMBENT,
    RUNNING,
    STOPPED,
    at,
    bowl,
    run,
    seed_at,
    state,
    trial,
)
from tuner.errors import InvalidValue
from tuner.schedules import Constant, Linear, Wsd
from tuner.search.configuration import Configuration
from tuner.search.decision.choice import Spent, choose
from tuner.search.decision.decisions import StudyState, TrialStatus
from tuner.search.decision.estimates import Estimates

OTHERS = (
    at(1e-3, family=Linear()),
    at(4e-3, family=Linear()),
    at(5e-4),
    at(8e-3, family=Wsd(cooldown=0.2)),
    at(1e-3, family=Constant(), warmup=0.0),
)
STUDIES = 40


def pure_noise(chance: int, *, runs: int = 9, **changes: Any) -> StudyState:
    """All schedules have one expected loss; runs on one seed share a part of their deviation."""
    rng = random.Random(chance)
    seeds = [rng.gauss(0.0, 0.1) for _ in range(3)]
    places = [0] * 6
    for _ in range(runs - 6):
        places[rng.choice([place for place, last in enumerate(places) if last < 2])] += 1
    rows = [
        (one, [1.0 + shift + rng.gauss(0.0, 0.1) for shift in seeds[: last + 1]])
        for one, last in zip((INCUMBENT, *OTHERS), places, strict=True)
    ]
    return state(*rows, **changes)


def of_bowl(*configurations: Configuration, seeds: int = 2, noise: float = 0.01, chance: int = 0) -> StudyState:
    workload = bowl(noise=noise, chance=chance)
    rows = []
    for one in configurations:
        losses = [workload(one, seed_at(place))[1] for place in range(seeds)]
        rows.append((one, [loss for loss in losses if loss is not None]))
    return state(*rows)


class TestExpectedLosses:
    def test_the_trials_are_ordered_by_their_expected_loss(self) -> None:
        found = Estimates(of_bowl(INCUMBENT, *OTHERS))
        losses = [found.expected(number).mean for number in found.trials]
        assert losses == sorted(losses)
        assert sorted(found.trials) == list(range(6))

    def test_they_lie_near_the_losses_of_the_runs(self) -> None:
        found = Estimates(state((INCUMBENT, [1.02, 1.03]), (OTHERS[0], [1.3, 1.32]), (OTHERS[2], [1.6, 1.58])))
        for number, loss in enumerate((1.025, 1.31, 1.59)):
            assert found.expected(number).mean == pytest.approx(loss, abs=0.06)

    def test_the_best_of_many_noisy_runs_is_expected_to_be_worse_than_it_was(self) -> None:
        luck = []
        for chance in range(STUDIES):
            noisy = pure_noise(chance, runs=6)
            first = min(noisy.runs, key=lambda one: one.loss or 0.0)
            assert first.loss is not None
            luck.append(Estimates(noisy).expected(first.trial).mean - first.loss)
        assert np.mean(luck) > 0.05

    def test_of_a_trial_without_a_loss_there_is_none(self) -> None:
        running = state((INCUMBENT, [1.0]), (OTHERS[0], []))
        with pytest.raises(KeyError):
            Estimates(replace(running, runs=(*running.runs, run(1, status=RUNNING)))).expected(1)

    def test_trials_that_diverged_or_were_stopped_are_left_out(self) -> None:
        study = state((INCUMBENT, [1.0]), (OTHERS[0], [0.5]), (OTHERS[1], []))
        runs = (*study.runs, run(1, place=1, status=DIVERGED), run(2, 0.9, status=STOPPED, std=0.1))
        found = Estimates(replace(study, runs=runs))
        assert found.trials == (0,)
        assert found.recommended == 0

    def test_where_all_diverge_on_some_seed_one_is_recommended_all_the_same(self) -> None:
        study = state((INCUMBENT, [1.0]), (OTHERS[0], [0.5]))
        found = Estimates(replace(study, runs=(*study.runs, *(run(n, place=1, status=DIVERGED) for n in (0, 1)))))
        assert set(found.trials) == {0, 1}
        assert found.recommended in found.trials

    def test_without_a_finished_run_there_are_none(self) -> None:
        with pytest.raises(InvalidValue):
            Estimates(state())
        stopped = StudyState(
            settings=state().settings,
            trials=(trial(0, INCUMBENT, status=TrialStatus.PRUNED),),
            runs=(run(0, 1.0, status=STOPPED, std=0.1),),
        )
        with pytest.raises(InvalidValue, match="runs must be at least one that has finished"):
            Estimates(stopped)

    @pytest.mark.parametrize(
        "losses",
        [(0.0, 0.0, 0.0), (1.0, 1.0 + 1e-15, 1.0), (1e30, -1e30, 0.0), (1.0, 2.0, 1e300), (1e-300, 2e-300, 5e-300)],
        ids=str,
    )
    def test_losses_of_any_size_have_estimates_and_a_next_run(self, losses: tuple[float, ...]) -> None:
        study = state(*((one, [loss]) for one, loss in zip((INCUMBENT, *OTHERS), losses, strict=False)), budget=20)
        found = Estimates(study)
        differences = [
            found.difference(one, to=other) for one in found.trials for other in found.trials if one != other
        ]
        assert all(one.std > 0.0 and np.isfinite([one.mean, one.low, one.high]).all() for one in differences)
        assert not isinstance(choose(study), Spent)


class TestDifferences:
    @hypothesis_settings(max_examples=20)
    @given(chance=st.integers(0, 2**32), runs=st.integers(6, 15), worth=st.booleans())
    def test_the_order_of_two_trials_changes_the_sign_alone(self, chance: int, runs: int, worth: bool) -> None:
        found = Estimates(pure_noise(chance, runs=runs, seeds=10 if worth else 3))
        for one, other in combinations(found.trials, 2):
            there, back = found.difference(one, to=other), found.difference(other, to=one)
            assert (there.mean, there.std) == pytest.approx((-back.mean, back.std), rel=1e-9)
            assert (there.low, there.high) == pytest.approx((-back.high, -back.low), rel=1e-9)
            assert there.low <= there.mean <= there.high
            assert there.mean == pytest.approx(found.expected(one).mean - found.expected(other).mean, abs=1e-9)

    def test_of_one_trial_there_is_none(self) -> None:
        found = Estimates(pure_noise(0))
        same = found.difference(2, to=2)
        assert (same.mean, same.low, same.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)

    def test_of_one_configuration_in_two_trials_there_is_none(self) -> None:
        found = Estimates(state((INCUMBENT, [1.0]), (OTHERS[0], [1.2]), (OTHERS[0], [1.4])))
        same = found.difference(1, to=2)
        assert (same.mean, same.low, same.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)

    def test_of_equally_good_schedules_almost_every_interval_has_zero_in_it(self) -> None:
        inside = []
        for chance in range(STUDIES):
            found = Estimates(pure_noise(chance, runs=14))
            pairs = (found.difference(one, to=other) for one, other in combinations(found.trials, 2))
            inside += [one.low <= 0.0 <= one.high for one in pairs]
        assert np.mean(inside) >= 0.93

    def test_a_difference_far_above_the_noise_is_outside_of_its_interval(self) -> None:
        found = Estimates(of_bowl(at(3e-3), at(1e-3), INCUMBENT, at(3e-4), noise=0.003, seeds=3))
        assert found.difference(0, to=3).high < 0.0 < found.difference(3, to=0).low

    def test_more_seeds_narrow_the_interval(self) -> None:
        few, many = (
            Estimates(of_bowl(INCUMBENT, *OTHERS[:3], noise=0.02, seeds=seeds)).difference(0, to=1) for seeds in (2, 8)
        )
        assert many.high - many.low < 0.7 * (few.high - few.low)


class TestRecommended:
    def test_on_noise_alone_it_is_the_incumbent(self) -> None:
        found = [Estimates(pure_noise(chance)).recommended for chance in range(STUDIES)]
        assert found.count(0) >= 0.95 * STUDIES

    @pytest.mark.parametrize("chance", range(5))
    def test_what_is_truly_much_better_is_recommended(self, chance: int) -> None:
        study = of_bowl(at(2e-4), at(3e-3, family=Linear()), at(5e-4), at(1e-2), noise=0.01, chance=chance)
        assert Estimates(with_incumbent(study, number=0)).recommended == 1

    def test_a_small_budget_asks_for_less_certainty(self) -> None:
        rows = ((INCUMBENT, [1.0]), (OTHERS[0], [0.93]), (OTHERS[2], [1.1]))
        small, large = (Estimates(state(*rows, budget=budget)).recommended for budget in (1.0, 30.0))
        assert (small, large) == (1, 0)

    def test_an_incumbent_that_was_not_trained_is_compared_with_all_the_same(self) -> None:
        found = Estimates(of_bowl(*OTHERS))
        assert found.incumbent is None
        assert found.recommended in found.trials

    def test_the_incumbent_is_known_by_its_role(self) -> None:
        assert Estimates(state((OTHERS[0], [1.0]), (INCUMBENT, [1.2]))).incumbent == 1

    def test_on_one_seed_the_best_loss_is_recommended(self) -> None:
        rows = [(one, [1.0 - 0.05 * place]) for place, one in enumerate((INCUMBENT, *OTHERS))]
        assert Estimates(state(*rows, seeds=1)).recommended == 5


def with_incumbent(study: StudyState, *, number: int) -> StudyState:
    """The same study, with the schedule of a trial as the incumbent."""
    schedule = study.trials[number].configuration.schedule
    return replace(study, settings=study.settings.model_copy(update={"incumbent": schedule}))


class TestNoise:
    def test_its_standard_deviation_is_learned_from_the_seeds(self) -> None:
        calm, noisy = (Estimates(of_bowl(INCUMBENT, *OTHERS, seeds=4, noise=noise)).noise_std for noise in (1e-3, 0.1))
        assert calm < 0.1 * noisy
        assert 0.05 < noisy < 0.4

    def test_on_one_seed_alone_there_is_none(self) -> None:
        assert Estimates(state((INCUMBENT, [1.0]), (OTHERS[0], [1.2]), seeds=1)).noise_std == 0.0

    def test_the_margin_is_the_states_or_a_tenth_of_the_spread_over_seeds(self) -> None:
        study = pure_noise(3)
        found = Estimates(study)
        assert found.margin == pytest.approx(0.1 * found.noise_std)
        assert Estimates(replace(study, margin=0.02)).margin == 0.02
