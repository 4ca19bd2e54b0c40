"""A job that is admitted can build every schedule that it can ever ask for, at the updates that it trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.digits import DIGITS
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import admit

PEAK = {"low": 0.01, "high": 0.1, "log": True}
RISING = {"peak_lr": 0.1, "family": {"name": "cosine"}, "warmup": {"shape": "linear", "updates": 20}}


def admitted(**search: Any) -> Any:
    return admit({"workload": "digits-mlp", "search": search}, workloads=[DIGITS])


def space(*families: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"families": list(families), **parts}


def family(name: str, **params: Any) -> dict[str, Any]:
    return {"name": name, "params": params}


def whole(low: int, high: int) -> dict[str, Any]:
    return {"kind": "int", "low": low, "high": high}


def real(low: float, high: float) -> dict[str, Any]:
    return {"kind": "float", "low": low, "high": high}


def choice(*values: Any) -> dict[str, Any]:
    return {"kind": "choice", "values": list(values)}


KNOTS = [{"at": 0.0, "factor": 0.0}, {"at": 1.0, "factor": 0.0}]


@pytest.mark.parametrize(
    ("steps", "search", "field", "value", "allowed"),
    [
        (20, {"start": [RISING]}, "search.start.0.warmup.updates", 20, "less than the whole run of 20 updates"),
        (20, {"incumbent": RISING}, "search.incumbent.warmup.updates", 20, "less than the whole run of 20 updates"),
        (10, {"space": {"warmup": [0.96]}}, "search.space.warmup.0", 0.96, "leaves none of 10"),
        (10, {"space": {"warmup": [0.0, 0.1, 0.96]}}, "search.space.warmup.2", 0.96, "leaves none of 10"),
        (
            20,
            {"space": space(family("cyclic", cycles=whole(20, 20)))},
            "search.space.families.0.params.cycles",
            20,
            "at most 10, so that each has 2 of the 20",
        ),
        (
            20,
            {"space": space(family("linear"), family("sgdr", cycles=choice(2, 9, 3)), warmup=[0.0, 0.5])},
            "search.space.families.1.params.cycles",
            9,
            "at most 5, so that each has 2 of the 10",
        ),
        (
            20,
            {"space": space(family("sgdr", cycles=choice(2, 3), multiplier=choice(1.0, 8.0)))},
            "search.space.families.0.params.cycles",
            3,
            "at most 2",
        ),
        (
            10,
            {"space": space(family("sgdr"), warmup=[0.7])},
            "search.space.families.0",
            {"family": "sgdr", "peak_lr": 0.01, "warmup": 0.7, "floor": 0.0},
            "at most 1",
        ),
        (
            20,
            {"space": space(family("one_cycle", rise=real(0.1, 1.0)))},
            "search.space.families.0.params.rise",
            1.0,
            "less than the run of 20 updates",
        ),
        (
            30,
            {"start": [{"peak_lr": 0.1, "family": {"name": "wsd", "cooldown": {"updates": 40}}}]},
            "search.start.0.family.cooldown",
            "40 updates",
            "at most the 30 updates",
        ),
        (
            30,
            {"incumbent": {"peak_lr": 0.1, "family": {"name": "piecewise_linear", "knots": KNOTS}}},
            "search.incumbent.family",
            "piecewise_linear",
            "a rate above 0 at some of its 30 updates",
        ),
        (
            30,
            {"incumbent": {"peak_lr": 1e-30, "family": {"name": "linear"}}},
            "search.incumbent.peak_lr",
            1e-30,
            "in [",
        ),
        (30, {"space": {"peak_lr": {"high": 1e30}}}, "search.space.peak_lr.high", 1e30, "at most 1e+20"),
        (
            30,
            {"space": space(family("polynomial", power=real(0.5, 1e200)))},
            "search.space.families.0.params.power.high",
            "1e+200",
            "in [-1e+100",
        ),
        (
            30,
            {"space": {"warmup": [0.1, 0.2, 0.1]}},
            "search.space.warmup",
            [0.1, 0.2, 0.1],
            "different from one another",
        ),
        (30, {"space": {"floor": [0.0, -0.0]}}, "search.space.floor", [0.0, 0.0], "different from one another"),
        (
            30,
            {"space": space(family("cyclic", mode=choice("triangular", "exp_range"), gamma=real(0.5, 0.9)))},
            "search.space.families.0.params.gamma",
            0.5,
            "absent when the mode is 'triangular'",
        ),
        (
            30,
            {"space": space(family("cyclic", mode=choice("exp_range")))},
            "search.space.families.0.params.gamma",
            None,
            "in (0, 1) when the mode is 'exp_range'",
        ),
        (
            30,
            {"space": space(family("exponential", gamma=real(0.1, 0.2)))},
            "search.space.families.0.params",
            "gamma",
            "rate alone, or gamma and every",
        ),
        (
            30,
            {"options": {"width": {"kind": "int", "low": 1, "high": 10**400}}},
            "search.options.width.high",
            str(10**400)[:200] + "...",
            "in [-9007199254740992",
        ),
    ],
)
def test_what_cannot_be_built_at_the_jobs_own_length_is_refused_by_name(
    steps: int, search: dict[str, Any], field: str, value: Any, allowed: str
):
    with pytest.raises(InvalidValue) as caught:
        admitted(total_steps=steps, **search)
    assert caught.value.field == field
    assert caught.value.value == value
    assert allowed in caught.value.allowed


@pytest.mark.parametrize(
    ("steps", "search"),
    [
        (21, {"start": [RISING]}),
        (10, {"space": {"warmup": [0.94]}}),
        (40, {"space": space(family("cyclic", cycles=whole(1, 20)))}),
        (20, {"space": space(family("one_cycle", rise=real(0.1, 0.99)))}),
        (10, {"space": space(family("cyclic", cycles=whole(1, 2)), warmup=[0.96])}),  # a family without warm-up
    ],
)
def test_what_fits_is_admitted(steps: int, search: dict[str, Any]):
    assert admitted(total_steps=steps, **search).search.total_steps == steps


def test_the_refusal_says_how_long_the_runs_are():
    with pytest.raises(InvalidValue, match=r"Every run of this search has 20 updates \(total_steps\)"):
        admitted(total_steps=20, start=[RISING])


def test_a_workloads_own_length_counts_where_none_is_named():
    with pytest.raises(InvalidValue, match="less than the whole run of 90 updates"):
        admitted(start=[RISING | {"warmup": {"shape": "linear", "updates": 90}}])


FOLLOWS = {"peak_lr": 0.1, "family": {"name": "reduce_on_plateau"}}


@pytest.mark.parametrize(
    ("search", "field"),
    [
        ({"incumbent": FOLLOWS}, "search.incumbent"),
        ({"start": [RISING, FOLLOWS]}, "search.start.1"),
        ({"space": space(family("linear"), family("reduce_on_plateau"))}, "search.space.families.1"),
    ],
)
def test_a_workload_that_reads_all_rates_before_it_trains_takes_no_schedule_that_follows_the_loss(
    search: dict[str, Any], field: str
):
    request = {"workload": "digits-mlp", "search": {"total_steps": 200, **search}}
    admit(request, workloads=[DIGITS])
    with pytest.raises(InvalidValue, match="reads all rates before it trains") as refused:
        admit(request, workloads=[replace(DIGITS, needs_lrs=True)])
    assert (refused.value.field, refused.value.value) == (field, "reduce_on_plateau")
    assert "run.lr(step)" in refused.value.hint


def test_a_space_of_schedules_that_follow_the_loss_is_buildable():
    searched = family("reduce_on_plateau", patience=whole(0, 4), factor=choice(0.1, 0.3, 0.5), cooldown=whole(0, 2))
    settings = admitted(total_steps=200, space=space(searched, floor=[0.0, 0.01])).search
    values = {
        "family": "reduce_on_plateau",
        "peak_lr": settings.searched_space.peak_lr.low,
        "warmup": settings.searched_space.warmup[0],
        "floor": 0.01,
        "reduce_on_plateau.patience": 2,
        "reduce_on_plateau.factor": 0.3,
        "reduce_on_plateau.cooldown": 1,
    }
    schedule = settings.searched_space.build(values)
    assert schedule.follows_loss
    assert settings.searched_space.values_of(schedule) == values
