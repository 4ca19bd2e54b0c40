"""The options that are searched along with the schedule."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import InvalidValue
from tuner.schedules import Linear, Schedule, Warmup
from tuner.search.configuration import Configuration, label_of, option_values, search_digest, values_of
from tuner.search.decision.decisions import Role, StudyState
from tuner.search.decision.estimates import Estimates
from tuner.search.sampler.candidates import Grid
from tuner.search.sampler.features import Features
from tuner.search.sampler.gp import Surrogate
from tuner.search.sampler.losses import Observation
from tuner.search.sampler.options import SearchedOptions
from tuner.search.settings import MAX_OPTIONS, SearchSettings
from tuner.search.simulate import simulate
from tuner.search.space import Choice, FloatRange, IntRange, OptimizerKind, Parameter, Value, default_space
from tuner.search.stage_tree import prefix_key

DECAY = FloatRange(low=1e-5, high=0.1, log=True)
MOMENTUM = Choice(values=(0.8, 0.9, 0.95))
NORM = Choice(values=("layer", "batch", "none"))
BATCH = IntRange(low=8, high=128, log=True)
RANGES: dict[str, Parameter] = {"weight_decay": DECAY, "momentum": MOMENTUM, "norm": NORM, "batch_size": BATCH}
USUAL: dict[str, Value] = {"weight_decay": 1e-3, "momentum": 0.9, "norm": "layer", "batch_size": 32}
SCHEDULE = Schedule(peak_lr=0.01, family=Linear())
WARM = Schedule(peak_lr=0.01, family=Linear(), warmup=Warmup(shape="linear", fraction=0.05))


def searched(**usual: Value) -> SearchedOptions:
    return SearchedOptions(RANGES, usual=option_values({**USUAL, **usual}))


def settings(**changes: object) -> SearchSettings:
    values = {"total_steps": 900, "space": default_space(OptimizerKind.ADAM), "options": {"weight_decay": DECAY}}
    return SearchSettings.model_validate({**values, **changes})


def at(peak: float, *, norm: str) -> Configuration:
    return Configuration(schedule=WARM.model_copy(update={"peak_lr": peak}), options=(("norm", norm),))


class TestStart:
    def test_it_starts_with_the_jobs_values_also_off_the_grid(self) -> None:
        assert dict(searched(weight_decay=0.00123).usual) == {**USUAL, "weight_decay": 0.00123}

    @pytest.mark.parametrize(("value", "start"), [(0.5, 0.1), (0.0, 1e-5), (1e-7, 1e-5)])
    def test_a_value_outside_a_range_starts_at_the_nearest_end(self, value: float, start: float) -> None:
        assert dict(searched(weight_decay=value).usual)["weight_decay"] == start

    def test_a_value_that_is_no_choice_starts_with_the_first(self) -> None:
        assert dict(searched(norm="group").usual)["norm"] == "layer"

    def test_an_option_without_a_value_in_the_job_starts_with_the_first_point(self) -> None:
        assert dict(SearchedOptions(RANGES).usual) == {
            "batch_size": 8,
            "momentum": 0.8,
            "norm": "layer",
            "weight_decay": 1e-5,
        }


class TestSampling:
    @given(seed=st.integers(0, 10_000))
    def test_every_point_lies_in_its_range(self, seed: int) -> None:
        point = dict(searched().sample(rng=np.random.default_rng(seed)))

        assert point.keys() == RANGES.keys()
        assert all(RANGES[name].contains(value) for name, value in point.items())

    def test_half_of_the_time_an_option_is_as_usual(self) -> None:
        rng = np.random.default_rng(0)
        usual = [dict(searched().sample(rng=rng))["weight_decay"] == 1e-3 for _ in range(400)]
        assert 0.4 < statistics.fmean(usual) < 0.6

    def test_neighbors_differ_in_one_option_each(self) -> None:
        start = searched().usual
        found = list(searched().neighbors(start))

        assert len(set(found)) == len(found)
        for one in found:
            changed = [name for name, value in one if dict(start)[name] != value]
            assert len(changed) == 1
            assert RANGES[changed[0]].contains(dict(one)[changed[0]])
        assert {dict(one)["norm"] for one in found} == {"layer", "batch", "none"}

    def test_options_of_another_search_have_no_neighbors(self) -> None:
        assert list(searched().neighbors(())) == []


class TestKernel:
    def kernel(self, one: dict[str, Value], other: dict[str, Value]) -> float:
        rows = [option_values({**USUAL, **changes}) for changes in (one, other)]
        a, b = searched().coordinates(rows)
        return math.exp(-0.5 * float(np.sum((a - b) ** 2)))

    def test_equal_options_are_one(self) -> None:
        assert self.kernel({}, {}) == 1.0

    def test_the_correlations_of_all_options_are_summed(self) -> None:
        rows = [option_values({**USUAL, **changes}) for changes in ({}, {"norm": "none"}, {"weight_decay": 0.1})]
        coordinates = searched().coordinates(rows)
        correlation = searched().correlation_sum(coordinates, coordinates)
        assert np.diag(correlation) == pytest.approx(searched().count)
        assert correlation[0, 1] == pytest.approx(3.5)  # three are equal, the fourth is correlated by a half
        assert correlation[0, 2] == pytest.approx(3.0 + math.exp(-0.5))  # half of a log range apart

    def test_on_a_log_range_ratios_count(self) -> None:
        low = self.kernel({"weight_decay": 1e-5}, {"weight_decay": 1e-4})
        high = self.kernel({"weight_decay": 1e-2}, {"weight_decay": 1e-1})
        far = self.kernel({"weight_decay": 1e-5}, {"weight_decay": 1e-1})
        assert low == pytest.approx(high)
        assert far < low < 1.0

    def test_choices_without_an_order_are_all_equally_far(self) -> None:
        assert self.kernel({"norm": "layer"}, {"norm": "none"}) == pytest.approx(0.5)
        assert self.kernel({"norm": "batch"}, {"norm": "none"}) == pytest.approx(0.5)

    def test_choices_of_numbers_have_an_order(self) -> None:
        near = self.kernel({"momentum": 0.8}, {"momentum": 0.9})
        far = self.kernel({"momentum": 0.8}, {"momentum": 0.95})
        assert far < near

    def test_booleans_have_no_order(self) -> None:
        flags = SearchedOptions({"shift": Choice(values=(False, True))})
        a, b = flags.coordinates([(("shift", False),), (("shift", True),)])
        assert math.exp(-0.5 * float(np.sum((a - b) ** 2))) == pytest.approx(0.5)


class TestBatchSize:
    def test_a_neighbor_with_another_batch_size_also_comes_with_the_scaled_peak(self) -> None:
        space = default_space(OptimizerKind.ADAM)
        options = SearchedOptions({"batch_size": BATCH}, usual=(("batch_size", 20),))
        start = Configuration(schedule=WARM, options=(("batch_size", 20),))
        sizes = {dict(one.options)["batch_size"]: set() for one in Grid(space, options=options).neighbors(start)}
        for one in Grid(space, options=options).neighbors(start):
            sizes[dict(one.options)["batch_size"]].add(one.schedule.peak_lr)
        for size in (11, 37):
            same, moved = sorted(sizes[size], key=lambda peak: abs(peak - WARM.peak_lr))
            assert same == WARM.peak_lr
            assert moved / WARM.peak_lr == pytest.approx(math.sqrt(size / 20), rel=0.13)  # the nearest of the grid

    def test_losses_at_one_batch_size_inform_the_scaled_peak_of_another(self) -> None:
        options = SearchedOptions({"batch_size": BATCH}, usual=(("batch_size", 32),))
        sizes = [Configuration(schedule=WARM, options=(("batch_size", size),)) for size in (32, 128, 8, 64, 16)]
        peaks = Features.of(sizes, total_steps=900, options=options).peak
        assert peaks - peaks[0] == pytest.approx(-0.5 * np.log([1.0, 4.0, 0.25, 2.0, 0.5]))

    @pytest.mark.parametrize("exponent", [0.5, 1.0])
    def test_the_best_peak_is_expected_to_follow_a_power_of_the_batch_size(self, exponent: float) -> None:
        options = SearchedOptions(RANGES, usual=option_values(USUAL), batch_exponent=exponent)
        rows = [option_values({**USUAL, "batch_size": size}) for size in (32, 128, 8)]
        assert options.peak_shifts(rows) == pytest.approx(exponent * np.log([1.0, 4.0, 0.25]))

    def test_without_a_batch_size_nothing_shifts_the_peak(self) -> None:
        options = SearchedOptions({"weight_decay": DECAY})
        assert options.peak_shifts([(("weight_decay", 1e-5),), (("weight_decay", 0.1),)]).tolist() == [0.0, 0.0]


class TestTheSearch:
    """On a bowl over the peak whose height an option decides, too."""

    best_decay = 1e-2

    def oracle(self, configuration: Configuration, steps: int, seed: int) -> tuple[list[tuple[int, float]], float]:
        decay = float(dict(configuration.options)["weight_decay"])
        off = math.log10(decay / self.best_decay)
        return [], 1.0 + 0.2 * math.log(configuration.schedule.peak_lr / 3e-3) ** 2 + 0.1 * off**2

    def search(self, *, budget: float = 4.0, **changes: object) -> StudyState:
        found = settings(budget=budget, seeds=1, **changes)
        return simulate(found, oracle=self.oracle, usual_options=(("weight_decay", 1e-4),)).state

    @pytest.mark.parametrize("seed", range(3))
    def test_it_finds_the_option_as_well_as_the_peak(self, seed: int) -> None:
        state = self.search(budget=24.0, seed=seed)
        best = state.trials[Estimates(state).recommended].configuration
        assert 10**-2.5 <= float(dict(best.options)["weight_decay"]) <= 10**-1.5
        assert 1e-3 <= best.schedule.peak_lr <= 9e-3

    def test_the_posterior_follows_the_observed_effect_of_an_option(self) -> None:
        ranges = {"norm": Choice(values=("layer", "batch", "none"))}
        seen = [
            Observation(
                configuration=Configuration(
                    schedule=WARM.model_copy(update={"peak_lr": peak}), options=(("norm", norm),)
                ),
                seed=0,
                loss=loss + math.log(peak / 0.01) ** 2,
            )
            for norm, loss in (("layer", 1.5), ("batch", 1.0))
            for peak in (0.005, 0.01, 0.02)
        ]
        surrogate = Surrogate(seen, total_steps=900, peaks=(1e-4, 0.03), options=SearchedOptions(ranges), one_seed=True)
        other = WARM.model_copy(update={"peak_lr": 0.012})
        posterior = surrogate.posterior(
            [Configuration(schedule=other, options=(("norm", norm),)) for norm in ("layer", "batch", "none")]
        )
        assert posterior.mean[1] < posterior.mean[0]
        assert posterior.var[2] > 4.0 * max(posterior.var[:2])  # it was never tried

    def test_the_first_trials_have_the_jobs_option_values(self) -> None:
        trials = self.search().trials
        assert [one.configuration.options for one in trials[:2]] == [(("weight_decay", 1e-4),)] * 2

    def test_the_incumbent_has_the_jobs_option_values(self) -> None:
        incumbents = [one for one in self.search(budget=8.0).trials if one.role is Role.INCUMBENT]
        assert [one.configuration.options for one in incumbents] == [(("weight_decay", 1e-4),)]

    def test_start_schedules_are_tried_with_the_jobs_option_values(self) -> None:
        first = self.search(budget=1.0, start=(SCHEDULE,)).trials[0]
        assert first.configuration == Configuration(schedule=SCHEDULE, options=(("weight_decay", 1e-4),))

    def test_nothing_is_tried_twice_and_everything_lies_in_its_range(self) -> None:
        tried = [one.configuration for one in self.search(budget=12.0).trials]
        assert len(set(tried)) == len(tried)
        assert len({one.options for one in tried}) > 1
        assert all(DECAY.contains(dict(one.options)["weight_decay"]) for one in tried)

    def test_choices_of_words_and_numbers_are_searched_as_well(self) -> None:
        def oracle(configuration: Configuration, steps: int, seed: int) -> tuple[list[tuple[int, float]], float]:
            clipped = dict(configuration.options)["clip"] != "auto"
            return [], 1.0 + 0.2 * math.log(configuration.schedule.peak_lr / 3e-3) ** 2 - 0.1 * clipped

        result = simulate(
            settings(budget=16, seeds=1, options={"clip": Choice(values=("auto", 0.5, 1))}),
            oracle=oracle,
            usual_options=(("clip", "auto"),),
        )
        assert {dict(one.configuration.options)["clip"] for one in result.state.trials} > {"auto"}
        best = result.state.trials[Estimates(result.state).recommended].configuration
        assert dict(best.options)["clip"] != "auto"


class TestConfigurations:
    def test_it_is_called_by_its_schedule_and_its_options(self) -> None:
        one = Configuration(schedule=SCHEDULE, options=option_values({"weight_decay": 0.00123456, "shift": True}))
        assert one.label == f"{SCHEDULE.label}, shift true, weight_decay 0.001235"
        assert label_of(SCHEDULE, options={}) == SCHEDULE.label

    def test_its_point_has_the_options_beside_the_parameters_of_the_schedule(self) -> None:
        one = Configuration(schedule=WARM, options=(("weight_decay", 1e-3),))
        point = values_of(one, settings=settings())
        assert point is not None
        assert (point["family"], point["option.weight_decay"]) == ("linear", 1e-3)

    @pytest.mark.parametrize("options", [(), (("weight_decay", 0.5),), (("dropout", 0.1),)])
    def test_outside_of_the_search_there_is_none(self, options: tuple[tuple[str, float], ...]) -> None:
        assert values_of(Configuration(schedule=WARM, options=options), settings=settings()) is None

    def test_the_digest_of_a_search_covers_its_options_and_without_any_is_that_of_its_space(self) -> None:
        plain, other = settings(options={}), settings(options={"momentum": MOMENTUM})
        assert search_digest(plain) == plain.searched_space.digest
        assert len({search_digest(one) for one in (plain, other, settings())}) == 3

    def test_runs_of_different_options_share_no_prefix(self) -> None:
        keys = {
            prefix_key(SCHEDULE, total_steps=900, seed=0, options=options)
            for options in ((), (("weight_decay", 1e-3),), (("weight_decay", 1e-2),))
        }
        assert len(keys) == 3


def test_more_options_than_a_search_can_take_are_refused() -> None:
    many = {f"option_{number}": DECAY for number in range(MAX_OPTIONS + 1)}
    with pytest.raises((InvalidValue, ValueError), match="at most 4"):
        settings(options=many)
