"""Optuna's samplers as what chooses the new schedules of a search."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tuner.errors import InvalidValue
from tuner.extras import ExtraMissing
from tuner.schedules import Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import NewTrial, Role, RunStatus, RunView, StudyState, TrialStatus, TrialView
from tuner.search.decision.plan import after, plan
from tuner.search.optuna import samplers
from tuner.search.optuna.samplers import proposer_of
from tuner.search.settings import SamplerName, SearchSettings
from tuner.search.simulate import Simulation, simulate
from tuner.search.space import Choice, FamilySpace, FloatRange, OptimizerKind, SearchSpace, default_space
from tuner.search.training_key import training_key

STEPS = 200
RUNNING = Configuration(schedule=Schedule(peak_lr=0.02, family=Linear()))
OPTUNAS = [name for name in SamplerName if name is not SamplerName.SCHEDULE]
FAST = [name for name in OPTUNAS if name is not SamplerName.GP]


def oracle(configuration: Configuration, steps: int, seed: int):
    schedule = configuration.schedule
    if schedule.peak_lr > 0.5:
        return [(10, 9.0)], None
    end = (
        1.0
        + 0.1 * math.log(schedule.peak_lr / 0.02) ** 2
        + 0.001 * (seed % 5)
        + float(dict(configuration.options).get("x", 0))
    )
    return [(step, end + 1 - step / steps) for step in range(20, steps + 1, 20)], end


def settings(sampler: SamplerName, **changes) -> SearchSettings:
    values = {"space": default_space(OptimizerKind.SGD), "budget": 8, "seed": 3, **changes}
    return SearchSettings(total_steps=STEPS, sampler=sampler, **values)


def study(sampler: SamplerName, **changes) -> Simulation:
    return simulate(settings(sampler, **changes), oracle=oracle)


def new_trials(simulation: Simulation) -> list[NewTrial]:
    return [one for one in simulation.decisions if isinstance(one, NewTrial)]


@pytest.mark.parametrize("name", FAST)
def test_it_chooses_every_new_schedule_and_the_incumbent_is_trained_all_the_same(name):
    opened = new_trials(study(name))
    assert len(opened) >= 3
    for one in opened:
        assert one.role is Role.INCUMBENT or one.reason == f"chosen by Optuna's sampler {name}"
    assert sum(one.role is Role.INCUMBENT for one in opened) == 1


@pytest.mark.parametrize("name", OPTUNAS)
def test_equal_searches_choose_equally_and_others_otherwise(name):
    short = {"budget": 4, "prune": False}
    assert study(name, **short).decisions == study(name, **short).decisions
    assert study(name, **short).decisions != study(name, seed=4, **short).decisions


@pytest.mark.parametrize("name", FAST)
def test_no_schedule_is_trained_twice_on_one_seed(name):
    state = study(name, budget=12, trials=12).state
    keys = [training_key(trial.configuration, total_steps=STEPS) for trial in state.trials]
    assert len(set(keys)) == len(keys)


def proposed(found: SearchSettings, count: int) -> list[Configuration]:
    """So many trials in a row, each proposed after the results of all before."""
    propose, state = proposer_of(found), StudyState(settings=found)
    for _ in range(count):
        state = trained(state, propose(state))
    return [trial.configuration for trial in state.trials]


def trained(state: StudyState, configuration: Configuration) -> StudyState:
    number, (_, loss) = len(state.trials), oracle(configuration, STEPS, 0)
    trial = TrialView(number=number, role=None, status=TrialStatus.COMPLETED, configuration=configuration)
    status = RunStatus.DIVERGED if loss is None else RunStatus.FINISHED
    run = RunView(trial=number, seed=0, status=status, steps=STEPS, loss=loss)
    return replace(state, trials=(*state.trials, trial), runs=(*state.runs, run))


@pytest.mark.parametrize("name", [SamplerName.TPE, SamplerName.CMAES])
def test_it_learns_from_what_was_trained(name):
    space = SearchSpace(
        peak_lr=FloatRange(low=1e-4, high=1.0, log=True),
        warmup=(0.0,),
        floor=(0.0,),
        families=(FamilySpace(name="wsd", params={"cooldown": FloatRange(low=0.1, high=0.9)}),),
    )

    def distance(sampler: SamplerName) -> float:
        """Of the peaks of the last twelve of forty proposals to the best one."""
        last = proposed(settings(sampler, space=space), 40)[28:]
        return sum(abs(math.log(one.schedule.peak_lr / 0.02)) for one in last) / len(last)

    assert distance(name) < 0.8 * distance(SamplerName.RANDOM)


def test_options_are_suggested_too_and_choices_with_an_order_by_rank():
    options = {
        "x": Choice(values=(0.0, 0.5, 1.0)),
        "name": Choice(values=("b", "a")),
        "flag": Choice(values=(True, False)),
    }
    opened = new_trials(study(SamplerName.TPE, options=options))
    free = [dict(one.configuration.options) for one in opened if one.role is None]
    assert all(options[name].contains(value) for one in free for name, value in one.items())
    assert {type(one["x"]) for one in free} == {float}
    assert {type(one["flag"]) for one in free} == {bool}


def test_an_exhausted_sampler_leaves_the_choice_to_the_model_which_says_so():
    space = SearchSpace(
        peak_lr=FloatRange(low=0.01, high=0.01, log=True),
        warmup=(0.0, 0.1),
        floor=(0.0,),
        families=(FamilySpace(name="linear"), FamilySpace(name="cosine")),
    )
    end = study(SamplerName.QMC, space=space, budget=12, seeds=1).decisions[-1]
    assert "every schedule of the space has been tried" in end.reason


@pytest.mark.parametrize("name", OPTUNAS)
def test_a_diverged_trial_counts_as_worse_than_all_others_and_a_running_one_has_no_result(name):
    found = settings(name)
    state = StudyState(settings=found)
    for peak in (0.9, 0.01, 0.03):
        state = trained(state, Configuration(schedule=Schedule(peak_lr=peak, family=Linear())))
    state = after(state, NewTrial(number=3, role=None, configuration=RUNNING, seed=0, reason="it runs"))
    losses = dict(samplers._losses(state))
    assert sorted(losses) == [0, 1, 2]
    assert losses[0] > max(losses[1], losses[2])
    assert proposer_of(found)(state) not in {trial.configuration for trial in state.trials}


def test_a_plan_without_the_sampler_that_its_settings_name_is_refused():
    with pytest.raises(InvalidValue, match="proposer must be that of sampler tpe"):
        plan(StudyState(settings=settings(SamplerName.TPE)), capacity=1)


def test_a_pool_is_refused_with_what_to_do():
    pool = [trial.configuration for trial in study(SamplerName.RANDOM).state.trials]
    with pytest.raises(InvalidValue, match=r"pool must be absent with sampler qmc.*use sampler schedule, or no pool"):
        simulate(settings(SamplerName.QMC), oracle=oracle, pool=pool)


def test_a_sampler_whose_package_is_missing_names_it(monkeypatch):
    monkeypatch.setattr(samplers, "find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"search.sampler gp needs packages that are not installed \(torch\)"):
        proposer_of(settings(SamplerName.GP))
    assert proposer_of(settings(SamplerName.SCHEDULE)) is None
