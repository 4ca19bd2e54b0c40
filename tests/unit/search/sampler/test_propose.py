"""The configurations that could be tried next, and those that theory starts with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.search.decision.study_states import DIVERGED, INCUMBENT, RUNNING, SPACE, STEPS, at, run, settings, trial
from tuner.errors import InvalidValue
from tuner.schedules import Constant, Linear, Schedule, Wsd
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import RunView, StudyState, TrialStatus
from tuner.search.decision.observations import Observations
from tuner.search.sampler.propose import candidates, initial, initial_shapes, restricted, shared_fraction
from tuner.search.space import Choice, FamilySpace, FloatRange, SearchSpace

SMALL = SearchSpace(
    peak_lr=FloatRange(low=1e-3, high=1.5e-3, log=True),
    warmup=(0.0,),
    floor=(0.0,),
    families=(FamilySpace(name="linear"),),
)
SINGLE = SearchSpace(
    peak_lr=FloatRange(low=2e-3, high=2e-3), warmup=(0.0,), floor=(0.0,), families=(FamilySpace(name="linear"),)
)


def observations(
    *configurations: Configuration, runs: tuple[RunView, ...] | None = None, **changes: object
) -> Observations:
    """Of a study whose trials all have a loss, unless their runs say otherwise."""
    trials = tuple(trial(number, one, status=TrialStatus.ACTIVE) for number, one in enumerate(configurations))
    some = tuple(run(one.number, 1.0 + 0.1 * one.number) for one in trials) if runs is None else runs
    return Observations(StudyState(settings=settings(**changes), trials=trials, runs=some))


def found_in(tried: Observations, *, chance: int = 0, leaders: tuple[Configuration, ...] = ()) -> list[Configuration]:
    return candidates(tried, leaders=leaders, rng=np.random.default_rng(chance))


def first(tried: Observations) -> Configuration:
    """What theory tries next."""
    return initial(found_in(tried), observations=tried)


class TestCandidates:
    def test_they_lie_in_the_space_are_there_once_and_were_not_tried(self) -> None:
        known = tuple(found_in(observations())[:4])
        found = found_in(observations(*known), leaders=known)

        assert len(set(found)) == len(found) > 100
        assert not set(known) & set(found)
        assert all(SPACE.values_of(one.schedule) is not None for one in found)

    def test_the_same_generator_gives_the_same_ones(self) -> None:
        assert found_in(observations()) == found_in(observations())
        assert found_in(observations(), chance=1) != found_in(observations())

    def test_the_neighbors_of_the_leaders_are_among_them(self) -> None:
        known = tuple(found_in(observations())[:3])
        alone, with_leaders = (set(found_in(observations(*known), leaders=some)) for some in ((), known))
        assert alone < with_leaders

    def test_an_exhausted_grid_is_left_for_points_between(self) -> None:
        known: list[Configuration] = []
        for place in range(8):
            found = found_in(observations(*known, space=SMALL), chance=place)
            assert found
            assert not set(known) & set(found)
            assert all(SMALL.values_of(one.schedule) is not None for one in found)
            known.append(found[0])

    def test_a_space_of_one_point_is_exhausted_once_that_is_tried(self) -> None:
        only = Configuration(schedule=Schedule(peak_lr=2e-3, family=Linear()))
        assert found_in(observations(space=SINGLE)) == [only]
        assert found_in(observations(only, space=SINGLE)) == []

    def test_they_need_a_space(self) -> None:
        with pytest.raises(InvalidValue, match="space must be set before the search begins"):
            observations(space=None)


class TestTheory:
    @pytest.mark.parametrize("peak", [3e-4, 2e-3, 1e-2])
    def test_it_starts_with_a_decay_near_the_peak_of_the_incumbent(self, peak: float) -> None:
        found = first(observations(incumbent=at(peak).schedule)).schedule
        assert not isinstance(found.family, Constant)
        assert abs(math.log(found.peak_lr / peak)) <= math.log(1.25)

    @pytest.mark.parametrize(("peak", "end"), [(1e-9, SPACE.peak_lr.low), (10.0, SPACE.peak_lr.high)])
    def test_it_stays_in_the_space_also_where_the_incumbent_does_not(self, peak: float, end: float) -> None:
        assert first(observations(incumbent=at(peak).schedule)).schedule.peak_lr == end

    def test_then_it_tries_another_peak(self) -> None:
        one = first(observations())
        other = first(observations(one))
        assert abs(math.log(other.schedule.peak_lr / one.schedule.peak_lr)) > math.log(2.0)

    def test_after_a_divergence_it_starts_lower(self) -> None:
        one = first(observations())
        diverged = (run(0, status=DIVERGED),)
        lower = first(observations(one, runs=diverged))
        again = first(observations(one, lower, runs=(*diverged, run(1, status=DIVERGED))))
        assert one.schedule.peak_lr > lower.schedule.peak_lr > again.schedule.peak_lr

    def test_a_running_trial_is_not_repeated(self) -> None:
        one = first(observations())
        other = first(observations(one, runs=(run(0, status=RUNNING),)))
        assert other != one

    def test_good_shapes_are_decays_with_the_usual_options(self) -> None:
        decay = FloatRange(low=1e-5, high=0.1, log=True)
        state = StudyState(settings=settings(options={"decay": decay}), usual_options=(("decay", 1e-3),))
        tried = Observations(state)
        shapes = initial_shapes(found_in(tried), observations=tried)
        assert shapes
        assert {one.options for one in shapes} == {(("decay", 1e-3),)}
        assert not any(isinstance(one.schedule.family, Constant) for one in shapes)

    def test_a_pool_is_restricted_to_good_shapes_while_there_are_few_losses(self) -> None:
        pool = [at(1e-3, family=Linear()), at(1e-3, family=Constant()), at(3e-3, family=Linear())]
        assert restricted(pool, observations=observations(INCUMBENT)) == [pool[0], pool[2]]
        three = observations(INCUMBENT, at(1e-2), at(3e-2))
        assert restricted(pool, observations=three) == pool
        assert restricted([], observations=observations()) == []


class TestSharedFraction:
    def test_a_longer_hold_shares_the_shorter_one_up_to_its_cooldown(self) -> None:
        late, early = (at(1e-3, family=Wsd(cooldown=cooldown, shape="linear")) for cooldown in (0.2, 0.6))
        (found,) = shared_fraction([late], observations=observations(early))
        assert found == pytest.approx(0.4, abs=0.07)

    @pytest.mark.parametrize(
        "other", [at(2e-3, family=Constant()), at(1e-3, family=Constant(), warmup=0.1)], ids=["peak", "warm-up"]
    )
    def test_another_start_shares_nothing(self, other: Configuration) -> None:
        known = observations(at(1e-3, family=Constant()))
        assert shared_fraction([other], observations=known).tolist() == [0.0]

    def test_other_options_share_nothing(self) -> None:
        state = StudyState(
            settings=settings(options={"clip": Choice(values=(1, 2))}),
            trials=(trial(0, Configuration(schedule=INCUMBENT.schedule, options=(("clip", 1),))),),
            runs=(run(0, 1.0),),
        )
        rows = [Configuration(schedule=INCUMBENT.schedule, options=(("clip", clip),)) for clip in (1, 2)]
        same, other = shared_fraction(rows, observations=Observations(state))
        assert (same, other) == (0.9, 0.0)

    def test_it_does_not_depend_on_the_horizon(self) -> None:
        late, early = (at(1e-3, family=Wsd(cooldown=cooldown, shape="linear")) for cooldown in (0.2, 0.6))
        found = [
            shared_fraction([late], observations=observations(early, total_steps=steps))[0] for steps in (STEPS, 50_000)
        ]
        assert found[0] == pytest.approx(found[1], abs=0.07)
