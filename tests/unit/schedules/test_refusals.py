"""Bad numbers are refused where they enter, with the field, the value and what is allowed; none is mended."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.schedules.strategies import EXAMPLES
from tuner.errors import InvalidValue
from tuner.schedules import (
    Constant,
    Cyclic,
    Exponential,
    Knot,
    Linear,
    MultiStep,
    OneCycle,
    PiecewiseLinear,
    Polynomial,
    Schedule,
    Segment,
    Segments,
    Sgdr,
    Updates,
    Warmup,
    Wsd,
)

_OUT_OF_RANGE: list[tuple[dict[str, Any], str, str]] = [
    # what is wrong in an otherwise good schedule; the field as named in the error; what the error says is allowed
    ({"peak_lr": 0.0}, "peak_lr", "greater than 0"),
    ({"peak_lr": -1e-3}, "peak_lr", "greater than 0"),
    ({"peak_lr": math.nan}, "peak_lr", "finite number"),
    ({"peak_lr": math.inf}, "peak_lr", "finite number"),
    ({"peak_lr": "0.1"}, "peak_lr", "valid number"),
    ({"peak_lr": True}, "peak_lr", "valid number"),
    ({"floor": 1.0}, "floor", "less than 1"),
    ({"floor": -0.1}, "floor", "greater than or equal to 0"),
    ({"version": 2}, "version", "1"),
    ({"momentum": 0.9}, "momentum", "not permitted"),
    ({"family": {"name": "sine"}}, "family", "'linear'.*'segments'"),
    ({"family": {"name": "linear", "power": 2}}, "power", "not permitted"),
    ({"family": {"name": "polynomial", "power": 0}}, "power", "greater than 0"),
    ({"family": {"name": "polynomial", "power": 101}}, "power", "less than or equal to 100"),
    ({"family": {"name": "sgdr", "cycles": 0}}, "cycles", "greater than or equal to 1"),
    ({"family": {"name": "sgdr", "cycles": 2.5}}, "cycles", "valid integer"),
    ({"family": {"name": "sgdr", "multiplier": 0.5}}, "multiplier", "greater than or equal to 1"),
    ({"family": {"name": "exponential", "rate": 0}}, "rate", "greater than 0"),
    ({"family": {"name": "exponential"}}, "family", "given rate alone, or gamma and every, got 'neither'"),
    ({"family": {"name": "exponential", "gamma": 0.9}}, "family", "given rate alone, or gamma and every, got 'gamma'"),
    ({"family": {"name": "exponential", "gamma": 1.0, "every": 0.1}}, "gamma", "less than 1"),
    ({"family": {"name": "step", "gamma": 0.0}}, "gamma", "greater than 0"),
    ({"family": {"name": "step", "every": 0.0}}, "every", "greater than 0"),
    ({"family": {"name": "step", "every": {"updates": 0}}}, "every", "greater than 0"),
    ({"family": {"name": "step", "every": {"updates": -5}}}, "updates", "greater than or equal to 0"),
    ({"family": {"name": "step", "every": {"updates": math.nan}}}, "updates", "finite number"),
    ({"family": {"name": "step", "every": {"epochs": 2}}}, "updates_per_epoch", "required"),
    (
        {"family": {"name": "step", "every": {"epochs": 2, "updates_per_epoch": 0}}},
        "updates_per_epoch",
        "or equal to 1",
    ),
    ({"family": {"name": "multi_step", "milestones": []}}, "milestones", "at least 1 item"),
    ({"family": {"name": "multi_step", "milestones": [0.0]}}, "milestones", "greater than 0"),
    ({"family": {"name": "inverse_sqrt", "timescale": math.inf}}, "timescale", "finite number"),
    ({"family": {"name": "one_cycle", "start_factor": 1.5}}, "start_factor", "less than or equal to 1"),
    ({"family": {"name": "cyclic", "rise": 1.0}}, "rise", "less than 1"),
    ({"family": {"name": "cyclic", "mode": "exp_range"}}, "gamma", r"in \(0, 1\) when the mode is 'exp_range'"),
    ({"family": {"name": "cyclic", "gamma": 0.9}}, "gamma", "absent when the mode is 'triangular', got 0.9"),
    ({"family": {"name": "wsd", "cooldown": 100}}, "cooldown", r"in \[0, 1\], got 100.0. Give updates as"),
    ({"family": {"name": "wsd", "cooldown": -0.1}}, "cooldown", r"in \[0, 1\], got -0.1"),
    ({"family": {"name": "wsd", "shape": "sqrt"}}, "shape", "'linear', '1-sqrt', 'cosine', 'exponential' or"),
    ({"family": {"name": "wsd", "shape": "polynomial"}}, "power", "given when the shape is 'polynomial', got None"),
    ({"family": {"name": "wsd", "power": 2.0}}, "power", "absent when the shape is '1-sqrt', got 2.0"),
    ({"family": {"name": "sgdr", "cycles": 2, "period": 0.3}}, "family", "given one of cycles, period, got 'both'"),
    ({"family": {"name": "cyclic", "cycles": None}}, "family", "given one of cycles, period, got 'neither'"),
    ({"family": {"name": "power", "exponent": 0}}, "exponent", "greater than 0"),
    ({"family": {"name": "piecewise_linear", "knots": [{"at": 0.0, "factor": 1.0}]}}, "knots", "at least 2 items"),
    ({"warmup": {"shape": "linear"}}, "warmup", "given one of fraction, updates, epochs, got {}"),
    ({"warmup": {"shape": "linear", "epochs": 2}}, "updates_per_epoch", "given with epochs, got None"),
    (
        {"warmup": {"shape": "linear", "updates": 2, "updates_per_epoch": 9}},
        "updates_per_epoch",
        "absent without epochs",
    ),
    ({"warmup": {"shape": "linear", "fraction": 0.1, "updates": 5}}, "warmup", "given one of fraction, updates"),
    ({"warmup": {"shape": "linear", "fraction": 1.0}}, "fraction", "less than 1"),
    ({"warmup": {"shape": "linear", "updates": -1}}, "updates", "greater than or equal to 0"),
    ({"warmup": {"shape": "linear", "updates": 2.5}}, "updates", "valid integer"),
    ({"warmup": {"shape": "linear", "fraction": 0.1, "start_factor": 1.0}}, "start_factor", "less than 1"),
    ({"warmup": {"shape": "exponential", "fraction": 0.1}}, "start_factor", r"in \(0, 1\)"),
    ({"warmup": {"shape": "constant", "fraction": 0.1}}, "start_factor", r"in \(0, 1\)"),
    ({"warmup": {"fraction": 0.1}}, "fraction", 'absent when the shape is "none"'),
    ({"warmup": {"start_factor": 0.1}}, "start_factor", 'absent when the shape is "none"'),
    ({"warmup": {"shape": "sudden", "fraction": 0.1}}, "shape", "'none', 'linear'"),
]


@pytest.mark.parametrize(("wrong", "field", "allowed"), _OUT_OF_RANGE)
def test_a_bad_number_is_refused_with_its_field_and_range(wrong: dict[str, Any], field: str, allowed: str):
    with pytest.raises(ValidationError) as refusal:
        Schedule.model_validate({"peak_lr": 0.1, "family": {"name": "linear"}, **wrong})
    assert re.search(rf"\b{field}\b(.|\n)*{allowed}", str(refusal.value)), str(refusal.value)
    assert "input_value=" in str(refusal.value)


@pytest.mark.parametrize("wrong", [wrong for wrong, _, _ in _OUT_OF_RANGE])
def test_the_same_is_refused_in_json(wrong: dict[str, Any]):
    with pytest.raises(ValidationError):
        Schedule.from_json(json.dumps({"peak_lr": 0.1, "family": {"name": "linear"}, **wrong}))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: PiecewiseLinear(knots=(Knot(at=0.5, factor=1.0), Knot(at=0.5, factor=0.0))),
            "family.knots must be each later than the one before, got [0.5, 0.5]",
        ),
        (
            lambda: Segments(segments=(Segment(kind="linear", length=0.5, start=1, end=0),)),
            "family.segments must be 1 long in sum, got 0.5. One of them may be without a length.",
        ),
        (
            lambda: Segments(segments=(Segment(kind="linear", start=1, end=0), Segment(kind="rex", start=1, end=0))),
            "family.segments must be without a length in one place at most",
        ),
        (lambda: Segment(kind="polynomial", start=1, end=0), "power must be given when the kind is 'polynomial'"),
        (lambda: Segment(kind="linear", start=1, end=0, power=2), "power must be absent when the kind is 'linear'"),
        (lambda: Segment(kind="linear", start=1, end=0, rate=2), "rate must be absent when the kind is 'linear'"),
        (lambda: Segment(kind="constant", start=1, end=0), "end must be the start, 1.0, when the kind is 'constant'"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(build, message: str):
    with pytest.raises(ValidationError, match=re.escape(message)):
        build()


@pytest.mark.parametrize(
    "family",
    [
        OneCycle(),
        Cyclic(),
        PiecewiseLinear(knots=(Knot(at=0.0, factor=0.5), Knot(at=1.0, factor=1.0))),
        Segments(segments=(Segment(kind="linear", start=0.1, end=1.0),)),
    ],
)
def test_a_warm_up_before_a_family_with_its_own_rise_is_refused(family):
    with pytest.raises(ValidationError, match=r'warmup\.shape must be "none" with this \w+'):
        Schedule(peak_lr=0.1, family=family, warmup=Warmup(shape="linear", fraction=0.1))


_RAMP = Warmup(shape="linear", updates=20)


@pytest.mark.parametrize(
    ("family", "warmup", "message"),
    [
        (
            Linear(),
            Warmup(shape="linear", updates=100),
            "warmup.updates must be less than the whole run of 100 updates",
        ),
        (Linear(), Warmup(shape="linear", fraction=0.999), "warmup.fraction must be less than the whole run of 100"),
        (
            Wsd(cooldown=Updates(updates=81)),
            _RAMP,
            "family.cooldown must be at most the 80 updates after the warm-up, got '81 updates'. Give a fraction.",
        ),
        (MultiStep(milestones=(Updates(updates=90),)), _RAMP, "family.milestones must be at most the 80 updates"),
        (
            PiecewiseLinear(knots=(Knot(at=0.0, factor=1.0), Knot(at=Updates(updates=90), factor=0.0))),
            _RAMP,
            "family.knots must be at most the 80 updates",
        ),
        (
            PiecewiseLinear(knots=(Knot(at=0.5, factor=1.0), Knot(at=Updates(updates=30), factor=0.0))),
            _RAMP,
            "family.knots must be each later than the one before, got [40.0, 30.0]",
        ),
        (
            Segments(
                segments=(
                    Segment(kind="linear", start=1.0, end=0.5),
                    Segment(kind="linear", length=Updates(updates=80), start=0.5, end=0.0),
                )
            ),
            _RAMP,
            "family.segments must be less than 80 long",
        ),
        (
            Segments(segments=(Segment(kind="linear", length=Updates(updates=70), start=1.0, end=0.5),)),
            _RAMP,
            "family.segments must be 80 long in sum, got 70.0",
        ),
        (Cyclic(cycles=51), Warmup(), "family.cycles must be at most 50, so that each has 2 of the 100 updates"),
        (Sgdr(cycles=41), _RAMP, "family.cycles must be at most 40, so that each has 2 of the 80 updates after the"),
        (Sgdr(cycles=6, multiplier=2.0), _RAMP, "family.cycles must be at most 5, so that each has 2 of the 80"),
        (OneCycle(rise=1.0), Warmup(), "family.rise must be less than the run of 100 updates"),
    ],
)
def test_what_does_not_fit_into_the_run_is_refused_when_the_run_is_known(family, warmup: Warmup, message: str):
    schedule = Schedule(peak_lr=0.1, family=family, warmup=warmup)
    for attempt in (lambda: schedule.lrs(100), lambda: schedule.lr(0, total_steps=100)):
        with pytest.raises(InvalidValue, match="^" + re.escape(message)):
            attempt()


@pytest.mark.parametrize("total_steps", [0, -1, 10.0, True, None])
def test_a_run_without_updates_is_refused(total_steps):
    with pytest.raises(InvalidValue, match="total_steps must be a whole number of at least 1"):
        Schedule(peak_lr=0.1, family=Constant()).lrs(total_steps)


def test_an_update_before_the_first_is_refused():
    with pytest.raises(InvalidValue, match="step must be a whole number of at least 0, got -1"):
        Schedule(peak_lr=0.1, family=Constant()).lr(-1, total_steps=10)


@pytest.mark.parametrize("name", EXAMPLES)
def test_nan_and_infinity_are_refused_in_every_number_of_every_family(name: str):
    family = EXAMPLES[name]
    numbers = [field for field, value in family if isinstance(value, float)]
    for field in numbers:
        for bad in (math.nan, math.inf, -math.inf):
            with pytest.raises(ValidationError, match="finite number"):
                type(family).model_validate({**family.model_dump(), field: bad})


@pytest.mark.parametrize(("low", "high"), [(1e-12, 1.0), (1e-6, 1e6)])
def test_extreme_but_allowed_lengths_give_finite_rates(low: float, high: float):
    families = [
        Exponential(gamma=0.001, every=low),
        Wsd(cooldown=low),
        Polynomial(power=100),
        Exponential(gamma=0.5, every=Updates(updates=high)),
    ]
    for family in families:
        schedule = Schedule(peak_lr=1e30, family=family)
        lrs = [*schedule.lrs(50), schedule.lr(50, total_steps=50)]
        assert all(0 <= lr <= 1e30 * (1 + 1e-12) for lr in lrs)


_CYCLIC = [Cyclic(cycles=20), Cyclic(cycles=20, mode="triangular2"), Sgdr(cycles=20)]


@pytest.mark.parametrize("total_steps", [40, 41, 200])
@pytest.mark.parametrize("family", _CYCLIC)
def test_a_family_with_cycles_rises_and_falls(family, total_steps: int):
    lrs = Schedule(peak_lr=0.1, family=family).lrs(total_steps)
    assert lrs.max() > lrs.min()


@pytest.mark.parametrize("total_steps", [2, 10, 20, 39])
@pytest.mark.parametrize("family", _CYCLIC)
def test_cycles_without_two_updates_each_are_refused(family, total_steps: int):
    with pytest.raises(InvalidValue, match=rf"family\.cycles must be at most {total_steps // 2}, .*got 20"):
        Schedule(peak_lr=0.1, family=family).lrs(total_steps)
