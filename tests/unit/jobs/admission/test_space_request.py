"""What a request leaves out of its space is that of the default space."""

from __future__ import annotations

from typing import Any

import pytest

from tests.digits import DIGITS
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import admit
from tuner.search.space import FloatRange, OptimizerKind, SearchSpace, default_space

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
    found = completed({"families": [{"name": "wsd"}, {"name": "polynomial", "params": {}}, {"name": "sgdr"}]}).families
    assert found[0] == usual["wsd"]
    assert [dict(one.params) for one in found[1:]] == [{}, {}]


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
