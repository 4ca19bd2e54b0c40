from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tuner.errors import InvalidValue
from tuner.schedules import Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.space import (
    Choice,
    FamilySpace,
    FloatRange,
    IntRange,
    OptimizerKind,
    SearchSpace,
    Value,
    default_space,
    peak_range,
)

PEAK = FloatRange(low=1e-4, high=1e-2, log=True)
SPACES = tuple(default_space(kind) for kind in OptimizerKind)


def space_of(*families: FamilySpace, warmup: tuple[float, ...] = (0.0, 0.05)) -> SearchSpace:
    return SearchSpace(peak_lr=PEAK, warmup=warmup, floor=(0.0, 0.1), families=families)


def some_values(space: SearchSpace, seed: int) -> dict[str, Value]:
    rng = random.Random(seed)
    family = rng.choice(space.keys)
    values: dict[str, Value] = {"family": family}
    for name, parameter in space.parameters(family).items():
        match parameter:
            case Choice():
                values[name] = rng.choice(parameter.values)
            case IntRange():
                values[name] = rng.randint(parameter.low, parameter.high)
            case FloatRange():
                values[name] = rng.uniform(parameter.low, parameter.high)
    return values


@given(space=st.sampled_from(SPACES), seed=st.integers(0, 2**32))
def test_every_point_is_a_schedule_and_found_again(space: SearchSpace, seed: int) -> None:
    values = some_values(space, seed)

    schedule = space.build(values)

    assert space.values_of(schedule) == values
    assert schedule.lrs(100).max() <= schedule.peak_lr


@pytest.mark.parametrize("kind", OptimizerKind)
def test_a_space_survives_json_and_keeps_its_digest(kind: OptimizerKind) -> None:
    space = default_space(kind)

    again = SearchSpace.model_validate_json(space.model_dump_json())

    assert again == space
    assert again.digest == space.digest


def test_the_digest_distinguishes_spaces() -> None:
    assert len({space.digest for space in (*SPACES, default_space(OptimizerKind.SGD, peak_lr=(0.01, 1.0)))}) == 3


def test_a_constant_rate_has_no_floor_and_one_cycle_no_warmup() -> None:
    space = space_of(FamilySpace(name="constant"), FamilySpace(name="one_cycle"), FamilySpace(name="cosine"))

    assert space.parameters("constant").keys() == {"peak_lr", "warmup"}
    assert space.parameters("one_cycle").keys() == {"peak_lr", "floor"}
    assert space.parameters("cosine").keys() == {"peak_lr", "warmup", "floor"}


@pytest.mark.parametrize("kind", OptimizerKind)
def test_no_warmup_is_a_choice_of_the_default_space(kind: OptimizerKind) -> None:
    space = default_space(kind)
    assert space.warmup[0] == 0.0
    for family in space.families:
        assert space.parameters(family.name)["warmup"].contains(0.0)


@given(rate=st.floats(1e-8, 10.0), kind=st.sampled_from(OptimizerKind))
def test_a_range_around_a_rate_has_it_in_its_middle_and_the_usual_width(rate: float, kind: OptimizerKind) -> None:
    low, high = peak_range(kind, around=rate)
    usual_low, usual_high = peak_range(kind)
    assert low < rate < high
    assert math.sqrt(low * high) == pytest.approx(rate, rel=0.01)
    assert high / low == pytest.approx(usual_high / usual_low, rel=0.02)
    assert default_space(kind, around=rate).peak_lr == FloatRange(low=low, high=high, log=True)


def test_no_warmup_is_a_choice() -> None:
    space = space_of(FamilySpace(name="linear"))
    values: dict[str, Value] = {"family": "linear", "peak_lr": 1e-3, "warmup": 0.0, "floor": 0.1}

    schedule = space.build(values)

    assert schedule == Schedule(peak_lr=1e-3, family=Linear(), floor=0.1)
    assert space.values_of(schedule) == values


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(peak_lr=1e-3, family=Linear()),
        Schedule(peak_lr=1.0, family=Cosine()),
        Schedule(peak_lr=1e-3, family=Cosine(), floor=0.05),
        Schedule(peak_lr=1e-3, family=Cosine(), warmup=Warmup(shape="cosine", fraction=0.05)),
        Schedule(peak_lr=1e-3, family=Cosine(), warmup=Warmup(shape="linear", updates=5)),
        Schedule(peak_lr=1e-3, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.05, start_factor=0.1)),
        Schedule(peak_lr=1e-3, family=Wsd(cooldown=0.9)),
        Schedule(peak_lr=1e-3, family=Wsd(cooldown=0.3, shape="cosine")),
    ],
    ids=lambda schedule: schedule.label,
)
def test_a_schedule_outside_the_space_has_no_values(schedule: Schedule) -> None:
    space = space_of(
        FamilySpace(name="cosine"), FamilySpace(name="wsd", params={"cooldown": FloatRange(low=0.1, high=0.5)})
    )

    assert space.values_of(schedule) is None


@pytest.mark.parametrize(
    ("family", "field", "allowed"),
    [
        (FamilySpace(name="cosin"), "families.0.name", "one of constant, linear, cosine"),
        (FamilySpace(name="wsd", params={"cool": FloatRange(low=0, high=1)}), "families.0.params", "cooldown, shape"),
        (
            FamilySpace(name="wsd", params={"cooldown": FloatRange(low=0.1, high=1.5)}),
            "families.0.params.cooldown",
            "in [0, 1]",
        ),
        (
            FamilySpace(name="wsd", params={"shape": Choice(values=("linear", "round", "1-sqrt"))}),
            "families.0.params.shape",
            "'linear', '1-sqrt'",
        ),
        (
            FamilySpace(name="polynomial", params={"power": IntRange(low=0, high=3)}),
            "families.0.params.power",
            "above 0",
        ),
        (FamilySpace(name="exponential"), "families.0.params", "rate alone"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_family_that_cannot_be_built_is_refused_by_name(family: FamilySpace, field: str, allowed: str) -> None:
    with pytest.raises(ValidationError) as error:
        space_of(family)

    message = error.value.errors()[0]["msg"]
    assert field in message
    assert allowed in message


def test_families_must_differ() -> None:
    with pytest.raises(ValidationError, match="families must be each a different family"):
        space_of(FamilySpace(name="cosine"), FamilySpace(name="cosine"))


@pytest.mark.parametrize("bounds", [{"low": 0.0, "high": 1.0}, {"low": -1.0, "high": 1.0}])
def test_the_peak_must_be_above_zero(bounds: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=r"peak_lr\.low must be above 0"):
        SearchSpace(peak_lr=FloatRange(**bounds), warmup=(0.0,), floor=(0.0,), families=(FamilySpace(name="linear"),))


@pytest.mark.parametrize("kind", [FloatRange, IntRange])
def test_a_range_must_not_be_upside_down_or_logarithmic_at_zero(kind: type[FloatRange | IntRange]) -> None:
    with pytest.raises(ValidationError, match="high must be a finite number, at least the low end"):
        kind(low=2, high=1)
    with pytest.raises(ValidationError, match="low must be above 0 on a log scale"):
        kind(low=0, high=1, log=True)


def test_choices_must_differ() -> None:
    with pytest.raises(ValidationError, match="values must be different from one another"):
        Choice(values=("linear", "linear"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"family": "rex"}, "family must be one of linear"),
        ({"family": "linear", "peak_lr": 1e-3}, "values must be exactly family, peak_lr, warmup, floor"),
        ({"family": "linear", "peak_lr": 1.0, "warmup": 0.0, "floor": 0.0}, "peak_lr must be within the search space"),
        ({"family": "linear", "peak_lr": 1e-3, "warmup": 0.2, "floor": 0.0}, "warmup must be within the search space"),
    ],
)
def test_values_outside_the_space_are_refused(values: dict[str, Value], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        space_of(FamilySpace(name="linear")).build(values)
