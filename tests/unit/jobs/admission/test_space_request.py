"""What a request leaves out of its space is that of the default space."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.digits import DIGITS
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import admit
from tuner.jobs.records import WorkloadInfo
from tuner.schedules import Epochs
from tuner.search.space import FloatRange, OptimizerKind, SearchSpace, SpacePreset, TrainingKind, default_space

DEFAULT = default_space(OptimizerKind.SGD, peak_lr=DIGITS.peak_lr["sgd"])


def completed(space: Any, **search: Any) -> SearchSpace:
    request = {"workload": "digits-mlp", "search": {"space": space, **search}}
    return admit(request, workloads=[DIGITS]).search.searched_space


@pytest.mark.parametrize(
    ("part", "value"),
    [("warmup", (0.0, 0.3)), ("floor", (0.2,)), ("peak_lr", FloatRange(low=0.02, high=0.3, log=True))],
)
def test_one_part_is_enough(part: str, value: Any):
    plain = value.model_dump() if part == "peak_lr" else list(value)
    assert completed({part: plain}) == SearchSpace.model_validate(DEFAULT.model_dump() | {part: value})


@pytest.mark.parametrize("space", [None, {}, {"warmup": None}])
def test_nothing_named_is_the_default_space(space: Any):
    assert completed(space) == DEFAULT


def test_an_end_of_the_range_of_peaks_is_enough():
    low, high = DIGITS.peak_lr["sgd"]
    assert completed({"peak_lr": {"high": 0.5}}).peak_lr == FloatRange(low=low, high=0.5, log=True)
    assert completed({"peak_lr": {"low": 0.1, "log": False}}).peak_lr == FloatRange(low=0.1, high=high, log=False)


def test_an_absent_range_of_peaks_is_the_one_around_the_incumbent():
    incumbent = {"peak_lr": 2e-5, "family": {"name": "cosine"}}
    assert completed({"warmup": [0.0]}, incumbent=incumbent).peak_lr == completed(None, incumbent=incumbent).peak_lr


def test_a_family_has_the_parameters_that_the_default_space_varies_unless_it_names_its_own():
    usual = {family.name: family for family in DEFAULT.families}
    wide = {family.name: family for family in default_space(OptimizerKind.SGD, preset="wide").families}
    found = completed({"families": [{"name": "wsd"}, {"name": "polynomial", "params": {}}, {"name": "sgdr"}]}).families
    assert found[0] == usual["wsd"]
    assert dict(found[1].params) == {}
    assert found[2] == wide["sgdr"]


@pytest.mark.parametrize("preset", SpacePreset)
def test_a_preset_is_the_space_and_what_is_named_beside_it_replaces_its_part(preset: SpacePreset):
    wanted = default_space(OptimizerKind.SGD, preset=preset, peak_lr=DIGITS.peak_lr["sgd"])
    assert completed({"preset": preset.value}) == wanted
    assert completed({"preset": preset.value, "floor": [0.3]}) == SearchSpace.model_validate(
        wanted.model_dump() | {"floor": (0.3,)}
    )


def test_the_peaks_are_those_of_the_workload_then_of_its_kind_of_training_and_a_request_may_say_another():
    undeclared = replace(DIGITS, peak_lr={})
    tuned = replace(undeclared, training=TrainingKind.LORA)

    def peaks(info: WorkloadInfo, **space: Any) -> tuple[float, float]:
        request = {"workload": info.name, "options": {"optimizer": "adam"}, "search": {"space": space}}
        found = admit(request, workloads=[info]).search.searched_space.peak_lr
        return found.low, found.high

    assert peaks(undeclared) == (1e-4, 3e-2)
    assert peaks(undeclared, preset="finetune") == (2e-6, 2e-4)
    assert peaks(tuned) == peaks(tuned, preset="finetune") == (2e-5, 2e-3)
    declared = replace(DIGITS, peak_lr={"adam": (1e-3, 1e-2)})
    assert peaks(declared, preset="finetune") == (1e-3, 1e-2)
    assert peaks(declared, training="finetune") == (2e-6, 2e-4)
    assert peaks(declared, training="finetune", peak_lr={"low": 1e-5}) == (1e-5, 2e-4)


def test_the_updates_of_an_epoch_hold_for_all_lengths_in_epochs_of_a_request():
    space = {
        "warmup": [0.0, {"epochs": 2}],
        "families": [
            {"name": "step", "params": {"every.epochs": {"kind": "int", "low": 5, "high": 30}}},
            {"name": "cyclic", "fixed": {"period": {"epochs": 4}}, "params": {}},
            {"name": "multi_step", "params": {"milestones.0.epochs": {"kind": "int", "low": 10, "high": 20}}},
        ],
    }
    incumbent = {"peak_lr": 0.1, "family": {"name": "step", "every": {"epochs": 10}}}
    request = {
        "workload": "digits-mlp",
        "search": {"space": space, "incumbent": incumbent, "steps_per_epoch": 50, "total_steps": 1500},
    }
    search: Any = admit(request, workloads=[DIGITS]).search
    found = search.searched_space
    assert search.incumbent.family.every == Epochs(epochs=10, updates_per_epoch=50)
    assert found.warmup == (0.0, Epochs(epochs=2, updates_per_epoch=50))
    values = {"family": "step", "peak_lr": found.peak_lr.low, "warmup": "2 epochs", "floor": 0.0}
    schedule = found.build({**values, "step.every.epochs": 10})
    assert schedule.family.every == Epochs(epochs=10, updates_per_epoch=50)
    assert schedule.warmup.length(1500) == 100
    cyclic = found.build({"family": "cyclic", "peak_lr": found.peak_lr.low, "floor": 0.0})
    assert cyclic.family.period == Epochs(epochs=4, updates_per_epoch=50)
    late = found.build({**values, "family": "multi_step", "multi_step.milestones.0.epochs": 12})
    assert late.family.milestones == (Epochs(epochs=12, updates_per_epoch=50), 0.75)


def test_a_length_in_epochs_without_the_updates_of_one_is_refused_with_where_to_say_them():
    with pytest.raises(InvalidValue, match=r"search\.space\.warmup\.1\.updates_per_epoch must be given with epochs"):
        completed({"warmup": [0.0, {"epochs": 2}]})


def test_the_families_that_follow_the_loss_are_left_out_of_a_preset_where_all_rates_are_needed_before():
    request = {"workload": "digits-mlp", "search": {"space": {"preset": "wide"}}}
    assert "reduce_on_plateau" in admit(request, workloads=[DIGITS]).search.searched_space.keys
    known = replace(DIGITS, needs_lrs=True)
    assert "reduce_on_plateau" not in admit(request, workloads=[known]).search.searched_space.keys


def test_a_complete_space_stays_also_as_a_value():
    space = default_space(OptimizerKind.ADAM)
    assert completed(space) == completed(space.model_dump(mode="json")) == space


@pytest.mark.parametrize(
    ("space", "field"),
    [
        ({"peak_lr": {"low": 2.0}}, "search.space.peak_lr.high"),  # above the default's high end
        ({"peak_lr": {"low": 0.0}}, "search.space.peak_lr.low"),
        ({"peak_lr": {"low": "0.1"}}, "search.space.peak_lr.low"),
        ({"warmup": []}, "search.space.warmup"),
        ({"warmup": [1.0]}, "search.space.warmup.0"),
        ({"families": [{"name": "cosin"}]}, "search.space.families.0.name"),
        ({"families": [{"name": "wsd", "params": {"cool": {"kind": "choice", "values": [0.1]}}}]}, None),
        ({"families": [{"name": "exponential", "params": {}}]}, "search.space.families.0.params"),
        ({"families": [{"name": "linear"}, {"name": "linear"}]}, "search.space.families"),
        ({"familys": []}, "search.space.familys"),
        ({"version": 2}, "search.space.version"),
    ],
)
def test_what_it_names_is_checked_where_it_stands(space: Any, field: str | None):
    with pytest.raises(InvalidValue) as caught:
        completed(space)
    assert caught.value.field == (field or "search.space.families.0.params")
