from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace

import numpy as np
import pytest
from tuner.search.decision.controls import CONTROL_WARMUP

from tests.unit.search.conftest import NO_OPTIONS, random_schedule
from tuner.errors import InvalidValue
from tuner.schedules import Constant, Cosine, Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Control, Finish, NewTrial, RungResult, StudyState, TrialStatus, TrialView
from tuner.search.sampler.features import Features
from tuner.search.sampler.gp import kernel
from tuner.search.sampler.propose import configuration_for, propose
from tuner.search.settings import SearchSettings
from tuner.search.simulate import simulate
from tuner.search.space import FamilySpace, FloatRange, OptimizerKind, SearchSpace, default_space

SPACE = default_space(OptimizerKind.ADAM)
NARROW = SearchSpace(
    peak_lr=FloatRange(low=1e-3, high=1e-1, log=True), warmup=(0.1,), floor=(0.0,), families=(FamilySpace(name="rex"),)
)
SMALL = SearchSpace(
    peak_lr=FloatRange(low=1e-3, high=1.5e-3, log=True),
    warmup=(0.0,),
    floor=(0.0,),
    families=(FamilySpace(name="linear"),),
)


def bowl(schedule: Schedule, steps: int = 900, seed: int = 0) -> float:
    """Least for a linear-like decay to zero at a peak of 2e-3."""
    shape = schedule.lrs(200) / schedule.peak_lr
    ideal = np.linspace(1.0, 0.0, 200)
    return 2.0 + 0.2 * math.log(schedule.peak_lr / 2e-3) ** 2 + float(np.mean(np.square(shape - ideal)))


def bowl_of(configuration: Configuration, steps: int, seed: int) -> float:
    """The same, as a search asks for it."""
    return bowl(configuration.schedule, steps, seed)


def settings(
    *, space: SearchSpace | None = SPACE, trials: int = 16, seed: int = 0, **changes: object
) -> SearchSettings:
    search = {"total_steps": 900, "trials": trials, "seed": seed, "space": space, "confirm_seeds": 0, **changes}
    return SearchSettings.model_validate(search)


def trial(number: int, schedule: Schedule, *losses: float | None, running: bool = False) -> TrialView:
    diverged = bool(losses) and losses[-1] is None
    return TrialView(
        number=number,
        cohort=0,
        control=None,
        status=TrialStatus.PRUNED if diverged else TrialStatus.ACTIVE if running else TrialStatus.COMPLETED,
        schedule=schedule,
        results=tuple(RungResult(loss=loss) for loss in losses),
        running=running,
    )


def study(*trials: TrialView, space: SearchSpace | None = SPACE, seed: int = 0) -> StudyState:
    return StudyState(settings=settings(space=space, seed=seed), trials=trials, confirmations=(), updates_committed=0)


def some(count: int, *, seed: int = 0) -> list[TrialView]:
    rng = random.Random(seed)
    found = [random_schedule(SPACE, rng) for _ in range(count)]
    return [trial(number, one, bowl(one)) for number, one in enumerate(found)]


def proposed(state: StudyState, *, control: Control | None = None, chance: int = 0) -> Schedule:
    """The schedule of a proposal; it has no options, as none are searched."""
    found = propose(state, control=control, rng=np.random.default_rng(chance))
    assert found.options == ()
    return found.schedule


def new(number: int, schedule: Schedule | None = None) -> NewTrial:
    return NewTrial(number=number, cohort=0, control=None, schedule=schedule, reason="for a test")


@pytest.mark.parametrize("known", [0, 1, 2, 3, 10])
def test_the_same_seed_number_and_history_give_the_same_schedule(known: int) -> None:
    state = study(*some(known))

    found = configuration_for(new(known), state=state)

    assert found == configuration_for(new(known), state=state)
    assert SPACE.values_of(found.schedule) is not None


def test_a_start_schedule_is_not_changed() -> None:
    start = Schedule(peak_lr=7.0, family=Linear())

    assert configuration_for(new(0, start), state=study()) == Configuration(schedule=start)


def test_a_proposal_needs_a_space() -> None:
    with pytest.raises(InvalidValue, match="space must be set before the search begins"):
        configuration_for(new(0), state=study(space=None))


@pytest.mark.parametrize("space", [SPACE, NARROW, SMALL], ids=["default", "narrow", "small"])
def test_no_schedule_is_tried_twice(space: SearchSpace) -> None:
    result = simulate(settings(space=space, trials=24), loss=bowl_of, workers=3)

    schedules = [one.schedule for one in result.state.trials]
    assert len(set(schedules)) == len(schedules) == 24
    free = [one.schedule for one in result.state.trials if one.control is None]
    assert all(one is not None and space.peak_lr.contains(one.peak_lr) for one in free)


@pytest.mark.parametrize("space", [SPACE, NARROW], ids=["with them", "without them"])
@pytest.mark.parametrize(("control", "family"), [(Control.CONSTANT, Constant()), (Control.DEFAULT, Cosine())])
def test_controls_stay_in_their_group_in_any_space(
    space: SearchSpace, control: Control, family: Constant | Cosine
) -> None:
    trials: list[TrialView] = []
    for number in range(4):
        found = proposed(study(*trials, space=space), control=control, chance=number)
        trials.append(trial(number, found, bowl(found)))

    found_all = [one.schedule for one in trials if one.schedule is not None]
    assert {(one.family, one.warmup.fraction, one.floor) for one in found_all} == {(family, CONTROL_WARMUP, 0.0)}
    assert len({one.peak_lr for one in found_all}) == 4
    assert all(space.peak_lr.contains(one.peak_lr) for one in found_all)


def test_after_a_divergence_the_search_starts_lower() -> None:
    first = proposed(study())

    diverged = proposed(study(trial(0, first, None)))
    again = proposed(study(trial(0, first, None), trial(1, diverged, None)))

    assert first.peak_lr > diverged.peak_lr > again.peak_lr


def test_a_proposal_differs_from_a_running_trial() -> None:
    known = some(8)
    alone = proposed(study(*known))

    beside = proposed(study(*known, trial(8, alone, running=True)))

    assert beside != alone
    one, other = (
        Features.of([Configuration(schedule=schedule)], total_steps=900, options=NO_OPTIONS)
        for schedule in (beside, alone)
    )
    assert kernel(one, other)[0, 0] < 0.99


def test_a_small_space_that_is_exhausted_still_has_new_schedules() -> None:
    state = study(space=SMALL)
    for number in range(12):
        found = proposed(state, chance=number)
        assert SMALL.values_of(found) is not None
        assert found not in {one.schedule for one in state.trials}
        state = replace(state, trials=(*state.trials, trial(number, found, bowl(found))))


def test_where_the_peak_is_fixed_the_points_between_the_grids_follow() -> None:
    cooldowns = FamilySpace(name="wsd", params={"cooldown": FloatRange(low=0.1, high=1.0)})
    fixed = SearchSpace(peak_lr=FloatRange(low=2e-3, high=2e-3), warmup=(0.0,), floor=(0.0,), families=(cooldowns,))
    result = simulate(settings(space=fixed, trials=16, controls=False), loss=bowl_of, workers=1)

    tried = {one.schedule for one in result.state.trials}
    assert len(tried) == 16  # the grid has ten
    assert all(one is not None and one.peak_lr == 2e-3 for one in tried)


def test_in_an_exhausted_space_configurations_are_tried_again_and_the_study_ends() -> None:
    single = SearchSpace(
        peak_lr=FloatRange(low=2e-3, high=2e-3), warmup=(0.0,), floor=(0.0,), families=(FamilySpace(name="linear"),)
    )
    result = simulate(settings(space=single, trials=16), loss=bowl_of, workers=1)

    assert len(result.state.trials) == 16
    assert isinstance(result.decisions[-1], Finish)
    groups = {one.schedule.family.name for one in result.state.trials if one.schedule is not None}
    assert groups == {"linear", "constant", "cosine"}


def test_losses_at_a_lower_rung_inform_the_proposal() -> None:
    state = replace(study(*some(12)), settings=settings(rungs=2))

    found = proposed(state)

    assert abs(math.log(found.peak_lr / 2e-3)) < 1.0


def trials_needed(found: list[Schedule], *, goal: float) -> int:
    """How many trials it took to come to a loss; one more than there are when none did."""
    return next((place for place, one in enumerate(found, start=1) if bowl(one) <= goal), len(found) + 1)


def test_a_known_optimum_is_found_in_fewer_trials_than_by_chance() -> None:
    goal = 2.03
    searched, lucky = [], []
    for seed in range(5):
        result = simulate(settings(trials=12, seed=seed, controls=False), loss=bowl_of, workers=1)
        rng = random.Random(seed)
        searched.append(trials_needed([one.schedule for one in result.state.trials if one.schedule], goal=goal))
        lucky.append(trials_needed([random_schedule(SPACE, rng) for _ in range(60)], goal=goal))

    assert statistics.median(searched) <= 10
    assert 2 * statistics.median(searched) <= statistics.median(lucky)
