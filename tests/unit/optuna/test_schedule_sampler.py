from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.testing.pytest_samplers import BasicSamplerTestCase, SingleOnlySamplerTestCase
from optuna.trial import FixedTrial, TrialState

from tuner.errors import InvalidValue
from tuner.optuna import ScheduleSampler, rungs, suggest_schedule
from tuner.optuna import sampler as sampler_module
from tuner.schedules import Cosine, Schedule
from tuner.search.configuration import Configuration
from tuner.search.decision.choice import most_promising
from tuner.search.space import Choice, FamilySpace, FloatRange, OptimizerKind, SearchSpace, default_space
from tuner.search.training_key import training_key

optuna.logging.set_verbosity(optuna.logging.WARNING)

STEPS = 200
SMALL = SearchSpace(
    peak_lr=FloatRange(low=1e-4, high=1e-2, log=True),
    warmup=(0.0, 0.1),
    floor=(0.0,),
    families=(FamilySpace(name="cosine"), FamilySpace(name="linear")),
)


def loss(schedule: Schedule) -> float:
    """Best at a peak of 2e-3 that decays to zero."""
    rates = schedule.lrs(STEPS)
    return 1.0 + 0.1 * math.log(schedule.peak_lr / 2e-3) ** 2 + 0.3 * float(rates[-1]) / schedule.peak_lr


def sampler(space=OptimizerKind.ADAM, **changes) -> ScheduleSampler:
    return ScheduleSampler(space, total_steps=STEPS, **changes)


def studied(trials: int, *, sign: float = 1.0, anew: bool = False, **changes) -> optuna.Study:
    study = optuna.create_study(direction="minimize" if sign > 0 else "maximize", sampler=sampler(**changes))
    for _ in range(trials):
        if anew:
            study.sampler = sampler(**changes)
        study.optimize(lambda trial: sign * loss(suggest_schedule(trial)), n_trials=1)
    return study


def key(trial) -> object:
    configuration = Configuration(schedule=Schedule.from_json(trial.user_attrs["schedule"]))
    return training_key(configuration, total_steps=STEPS)


class TestAsOptunasOwn(BasicSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: sampler(SMALL)


def test_equal_studies_get_equal_schedules_also_from_a_sampler_that_is_made_anew_for_each_trial():
    one, other = studied(6), studied(6, anew=True)
    assert [trial.params for trial in one.trials] == [trial.params for trial in other.trials]
    assert [trial.params for trial in studied(6, seed=1).trials] != [trial.params for trial in one.trials]


def test_a_study_that_maximizes_gets_the_schedules_of_the_one_that_minimizes():
    assert [one.params for one in studied(6, sign=-1.0).trials] == [one.params for one in studied(6).trials]


def test_it_comes_closer_to_the_best_than_random_search():
    space = default_space(OptimizerKind.ADAM)

    def best(chosen):
        study = optuna.create_study(sampler=chosen)
        study.optimize(lambda trial: loss(suggest_schedule(trial, space)), n_trials=12)
        return study.best_value

    ours = [best(sampler(seed=seed)) for seed in range(3)]
    randoms = [best(optuna.samplers.RandomSampler(seed=seed)) for seed in range(3)]
    assert max(ours) < 1.02
    assert sum(ours) < sum(randoms)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**31 - 1), losses=st.lists(st.floats(-10, 10) | st.just(math.inf), max_size=4))
def test_every_trial_is_another_training_of_the_space(seed, losses):
    study = optuna.create_study(sampler=sampler(seed=seed))
    for value in [*losses, None, None]:  # the last ones run on
        trial = study.ask()
        schedule = suggest_schedule(trial)
        ours: Any = study.sampler
        assert ours.space.values_of(schedule) == trial.params
        if value is not None:
            study.tell(trial, value)
    keys = [key(trial) for trial in study.trials]
    assert len(set(keys)) == len(keys)


def test_trials_that_were_asked_for_at_once_get_different_schedules_in_any_order():
    study = studied(3)
    asked = [study.ask() for _ in range(3)]
    for trial in reversed(asked):  # the first has no parameters yet when the last is suggested
        suggest_schedule(trial)
    assert len({key(trial) for trial in study.trials}) == 6


def test_a_trial_of_several_jobs_at_once_is_never_trained_twice():
    study = optuna.create_study(sampler=sampler())
    study.optimize(lambda trial: loss(suggest_schedule(trial)), n_trials=8, n_jobs=2)
    assert len({key(trial) for trial in study.trials}) == 8


def test_a_space_without_a_new_schedule_goes_on_with_known_ones():
    space = SearchSpace(
        peak_lr=FloatRange(low=1e-3, high=1e-3, log=True),
        warmup=(0.0, 0.1),
        floor=(0.0,),
        families=(FamilySpace(name="linear"),),
    )
    study = optuna.create_study(sampler=sampler(space))
    study.optimize(lambda trial: loss(suggest_schedule(trial)), n_trials=4)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    assert {trial.params["warmup"] for trial in study.trials} == {0.0, 0.1}


@pytest.mark.parametrize("ending", ["infinite", "nan", "pruned"])
def test_a_divergence_keeps_the_next_trials_at_lower_peaks(ending):
    study = optuna.create_study(sampler=sampler(OptimizerKind.SGD))
    peaks = []
    for _ in range(8):
        trial = study.ask()
        schedule = suggest_schedule(trial)
        peaks.append(schedule.peak_lr)
        if schedule.peak_lr < 0.01:
            study.tell(trial, 1.0 - 10 * schedule.peak_lr)  # the highest that does not diverge is best
        elif ending == "infinite":
            study.tell(trial, math.inf)
        else:
            trial.report(math.nan, 10)
            study.tell(trial, state=TrialState.PRUNED if ending == "pruned" else TrialState.FAIL)
    assert max(peaks[-3:]) < 0.03


def test_other_parameters_come_from_another_sampler_and_are_as_repeatable():
    def objective(trial):
        return loss(suggest_schedule(trial)) + trial.suggest_float("dropout", 0.0, 0.5)

    studies = []
    for _ in range(2):
        study = optuna.create_study(sampler=sampler())
        study.optimize(objective, n_trials=4)
        studies.append([trial.params for trial in study.trials])
    assert studies[0] == studies[1]
    assert len({params["dropout"] for params in studies[0]}) == 4


def test_the_sampler_of_other_parameters_can_be_named():
    fixed = optuna.samplers.GridSampler({"width": [3]})
    study = optuna.create_study(sampler=sampler(independent_sampler=fixed))
    trial = study.ask()
    study.sampler.before_trial(study, study.trials[0])
    suggest_schedule(trial)
    assert trial.suggest_int("width", 1, 8) == 3


def test_options_are_searched_along_with_the_schedule():
    options = {"dropout": Choice(values=(0.0, 0.2, 0.5))}
    study = optuna.create_study(sampler=sampler(SMALL, options=options))

    def objective(trial):
        return loss(suggest_schedule(trial)) + trial.suggest_categorical("option.dropout", (0.0, 0.2, 0.5))

    study.optimize(objective, n_trials=10)
    assert study.best_params["option.dropout"] == 0.0
    assert {trial.params["option.dropout"] for trial in study.trials} > {0.0}


def test_a_schedule_of_a_trial_that_was_enqueued_counts():
    study = optuna.create_study(sampler=sampler())
    study.enqueue_trial({"family": "linear", "peak_lr": 2e-3, "warmup": 0.05, "floor": 0.0})
    study.optimize(lambda trial: loss(suggest_schedule(trial)), n_trials=3)
    assert study.trials[0].params["peak_lr"] == 2e-3
    assert len({key(trial) for trial in study.trials}) == 3


def test_the_recommended_trial_is_one_whose_neighbors_are_good_not_a_lucky_one():
    study = optuna.create_study(sampler=sampler(SMALL))
    for peak in (1e-3, 1.25e-3, 1.6e-3, 2e-3, 2.5e-3, 3.2e-3, 4e-3, 1e-4, 1.3e-4, 1.6e-4, 2e-4):
        schedule = Schedule(peak_lr=peak, family=Cosine())
        value = loss(schedule)
        study.add_trial(
            optuna.create_trial(
                user_attrs={"schedule": schedule.to_json()}, value=value - (0.9 if peak == 1.3e-4 else 0.0)
            )
        )
    assert study.best_trial.number == 8
    ours: Any = study.sampler
    assert ours.recommended(study).number in range(7)


def test_a_study_without_a_complete_trial_recommends_nothing():
    with pytest.raises(InvalidValue, match="runs"):
        sampler().recommended(optuna.create_study())


def test_suggesting_with_another_sampler_needs_the_space():
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    with pytest.raises(InvalidValue, match="space must be given where the study's sampler is no ScheduleSampler"):
        suggest_schedule(trial)
    assert suggest_schedule(trial, SMALL).family.name in ("cosine", "linear")


def test_a_fixed_trial_has_the_schedule_of_its_parameters():
    trial = FixedTrial({"family": "cosine", "peak_lr": 1e-3, "warmup": 0.1, "floor": 0.0})
    assert suggest_schedule(trial, SMALL).peak_lr == 1e-3


def test_a_space_that_does_not_fit_into_the_run_is_refused():
    short = SearchSpace(
        peak_lr=SMALL.peak_lr,
        warmup=(0.0,),
        floor=(0.0,),
        families=(FamilySpace(name="cyclic", params={"cycles": Choice(values=(50,))}),),
    )
    with pytest.raises(InvalidValue, match="cycles"):
        ScheduleSampler(short, total_steps=20)


def test_a_space_may_be_as_in_a_job_and_is_refused_by_its_field():
    values = SMALL.model_dump(mode="json")
    assert ScheduleSampler(values, total_steps=STEPS).space == SMALL
    with pytest.raises(InvalidValue, match="space must be one of 'sgd', 'adam', got 'lion'"):
        sampler("lion")
    with pytest.raises(InvalidValue, match=r"space\.floor must be given"):
        sampler({name: value for name, value in values.items() if name != "floor"})


def test_the_rungs_are_those_of_a_job():
    assert rungs(1000) == tuple(range(50, 1001, 50))
    assert rungs(7) == (7,)
    with pytest.raises(InvalidValue, match="total_steps must be at least 1, got 0"):
        rungs(0)


def test_a_schedule_that_another_process_claims_meanwhile_is_left_to_it(monkeypatch):
    """Both read the study, both choose, the other one writes first: this one chooses again."""
    study = studied(3)
    ours, theirs = study.ask(), study.ask()
    choose = most_promising
    claims: list[Schedule] = []

    def choose_while_the_other_claims(state):
        chosen = choose(state)
        if not claims:
            claims.append(chosen.schedule)
            theirs.set_user_attr("schedule", chosen.schedule.to_json())
        return chosen

    monkeypatch.setattr(sampler_module, "most_promising", choose_while_the_other_claims)
    assert suggest_schedule(ours) != claims[0]
