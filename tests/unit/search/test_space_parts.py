"""Spaces by name, warm-ups of several lengths and shapes, and parameters that lead into a part of a family."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.search.test_space import some_values
from tuner.errors import InvalidValue
from tuner.metric import DEFAULT_METRIC
from tuner.schedules import Epochs, Segment, Warmup
from tuner.search.configuration import Configuration
from tuner.search.optuna.study import Study
from tuner.search.sampler.candidates import Grid
from tuner.search.sampler.options import SearchedOptions
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, SearchSpace, SpacePreset, TrainingKind, default_space

STEPS = 400
SPACES = tuple(default_space(kind, preset=preset) for kind in OptimizerKind for preset in SpacePreset)


def space_of(*families: dict[str, Any], **parts: Any) -> SearchSpace:
    usual = {"peak_lr": {"low": 1e-4, "high": 1e-2, "log": True}, "warmup": [0.0, 0.05], "floor": [0.0, 0.1]}
    return SearchSpace.model_validate({**usual, **parts, "families": list(families)})


EVERY_PART = space_of(
    {
        "name": "multi_step",
        "fixed": {"milestones": [{"updates_per_epoch": 20}, 0.9]},
        "params": {
            "milestones.0.epochs": {"kind": "int", "low": 2, "high": 12},
            "milestones.1": {"kind": "float", "low": 0.7, "high": 0.95},
        },
    },
    {
        "name": "segments",
        "alias": "hold-then-cosine",
        "fixed": {
            "segments": [
                {"kind": "constant", "start": 1.0, "end": 1.0, "length": 0.5},
                {"kind": "cosine", "start": 1.0, "end": 0.1},
            ]
        },
        "params": {
            "segments.0.length": {"kind": "float", "low": 0.1, "high": 0.8},
            "segments.1.end": {"kind": "choice", "values": [0.0, 0.01, 0.1]},
        },
    },
    {
        "name": "cyclic",
        "fixed": {"period": {"updates_per_epoch": 20}},
        "params": {"period.epochs": {"kind": "int", "low": 2, "high": 9}},
    },
    {"name": "sgdr", "params": {"period.updates": {"kind": "int", "low": 30, "high": 150}}},
    {"name": "wsd", "alias": "short", "params": {"cooldown": {"kind": "float", "low": 0.05, "high": 0.2}}},
    {"name": "wsd", "params": {"cooldown": {"kind": "float", "low": 0.3, "high": 0.9}}},
    warmup=[0.0, 0.05, {"updates": 30}, {"epochs": 2, "updates_per_epoch": 20}],
    warmup_shape=["linear", "cosine", {"shape": "exponential", "start_factor": 0.001}],
)


@given(space=st.sampled_from([*SPACES, EVERY_PART]), seed=st.integers(0, 2**32))
def test_every_point_is_a_schedule_that_is_found_again(space: SearchSpace, seed: int):
    values = some_values(space, seed)
    schedule = space.build(values)
    found = space.values_of(schedule)
    assert found is not None
    if values.get("warmup") == 0:  # without a warm-up, its shape is any
        values.pop("warmup_shape", None)
        found.pop("warmup_shape", None)
    assert found == values
    rates = schedule.lrs(STEPS)
    assert rates.min() >= 0
    assert rates.max() <= schedule.peak_lr * (1 + 1e-12)


@given(space=st.sampled_from([*SPACES, EVERY_PART]), seed=st.integers(0, 2**32))
def test_the_sampler_finds_other_points_of_it_and_their_neighbors(space: SearchSpace, seed: int):
    rng = np.random.default_rng(seed)
    points = Grid(space, options=SearchedOptions({}))
    for one in (*points.sample(3, rng=rng), *points.sample_off_grid(3, rng=rng)):
        assert space.values_of(one.schedule) is not None
        neighbors = list(points.neighbors(one))
        assert neighbors
        assert all(space.values_of(other.schedule) is not None for other in neighbors)


def test_every_point_becomes_an_optuna_trial_with_the_names_of_its_parameters():
    storage = optuna.storages.InMemoryStorage()
    settings = SearchSettings(total_steps=STEPS, space=EVERY_PART)
    study = Study.open(storage, name="one", settings=settings, metric=DEFAULT_METRIC)
    for number, key in enumerate(EVERY_PART.keys):
        values = next(EVERY_PART.corners(key))
        study.ask(Configuration(schedule=EVERY_PART.build(values)), number=number, role=None)
        (trial,) = optuna.load_study(study_name="one", storage=storage).get_trials()[number:]
        assert trial.params == values


def test_the_middle_of_a_fine_tuning_search_is_2e_5_and_lora_searches_ten_times_that():
    def middle(training: TrainingKind) -> float:
        peaks = default_space("adam", preset="finetune", training=training).peak_lr
        return math.sqrt(peaks.low * peaks.high)

    assert middle(TrainingKind.FINETUNE) == pytest.approx(2e-5)
    assert middle(TrainingKind.LORA) == pytest.approx(10 * middle(TrainingKind.FINETUNE))


def test_the_wide_space_has_the_families_that_the_field_names():
    wide = {family.name for family in default_space("adam", preset="wide").families}
    assert wide >= {"cyclic", "sgdr", "step", "multi_step", "one_cycle", "inverse_sqrt", "power", "reduce_on_plateau"}


def test_a_large_model_always_has_a_warm_up():
    assert 0.0 not in default_space("adam", preset="pretrain").warmup


def test_a_warm_up_has_the_length_and_the_shape_of_its_values():
    values: dict[str, Any] = {"family": "wsd", "peak_lr": 1e-3, "floor": 0.0, "wsd.cooldown": 0.5}
    built = EVERY_PART.build({**values, "warmup": "2 epochs", "warmup_shape": "exponential from 0.001"})
    assert built.warmup == Warmup(shape="exponential", start_factor=0.001, epochs=2, updates_per_epoch=20)


def test_a_dotted_name_reaches_its_part():
    values: dict[str, Any] = {"peak_lr": 1e-3, "warmup": 0.0, "warmup_shape": "linear", "floor": 0.0}
    steps = {"multi_step.milestones.0.epochs": 7, "multi_step.milestones.1": 0.8}
    late: Any = EVERY_PART.build({**values, "family": "multi_step", **steps}).family
    assert late.milestones == (
        Epochs(epochs=7, updates_per_epoch=20),
        0.8,
    )
    parts = {"hold-then-cosine.segments.0.length": 0.3, "hold-then-cosine.segments.1.end": 0.01}
    held: Any = EVERY_PART.build({**values, "family": "hold-then-cosine", **parts}).family
    assert held.segments == (
        Segment(kind="constant", start=1.0, end=1.0, length=0.3),
        Segment(kind="cosine", start=1.0, end=0.01),
    )


RANGE = {"kind": "float", "low": 0.1, "high": 0.4}


@pytest.mark.parametrize(
    ("family", "field"),
    [
        ({"name": "multi_step", "params": {"milestones.5": RANGE}}, "families.0.params.milestones.5"),
        ({"name": "step", "fixed": {"every": 0.1}, "params": {"every": RANGE}}, "families.0.fixed.every"),
        ({"name": "step", "fixed": {"length": 0.1}}, "families.0.fixed"),
        ({"name": "step", "fixed": {"gamma": 3.0}}, "families.0.fixed.gamma"),
        ({"name": "step", "params": {"every.epochs": RANGE}}, "families.0.params.every"),
    ],
)
def test_a_part_that_is_none_is_refused_by_its_name(family: dict[str, Any], field: str):
    with pytest.raises(ValueError, match="must be") as refused:
        space_of(family)
    refusal: Any = refused.value
    cause = refusal.errors()[0]["ctx"]["error"]
    assert isinstance(cause, InvalidValue)
    assert cause.field.startswith(field)


def test_one_family_twice_needs_an_alias():
    with pytest.raises(ValueError, match="Give one that stands twice an alias of its own"):
        space_of({"name": "wsd"}, {"name": "wsd"})
