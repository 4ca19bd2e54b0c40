"""Public functions take the members of an enum and their names alike, and refuse other names with what is allowed."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.unit.schedules.strategies import EXAMPLES, example
from tuner import InvalidValue, OptimizerKind, Report, simulate_study
from tuner.errors import WorkloadError
from tuner.exports import ExportFormat, TargetRun, export
from tuner.schedules import ScalingRule, scaled_to_batch
from tuner.search.space import default_space, peak_range
from tuner.training.workload import OpaqueWorkload, describe

SCHEDULE = example("cosine")


def scaled(**changes: Any) -> float:
    arguments: dict[str, Any] = {"rule": "sqrt", "from_batch": 64, "to_batch": 6400} | changes
    return scaled_to_batch(SCHEDULE, **arguments).factor


@pytest.mark.parametrize(("rule", "factor"), [("sqrt", 10.0), ("linear", 100.0)])
def test_a_scaling_rule_by_its_name_is_that_rule(rule: str, factor: float):
    assert scaled(rule=rule) == scaled(rule=ScalingRule(rule)) == factor
    named = scaled_to_batch(SCHEDULE, rule=rule, from_batch=64, to_batch=6400, optimizer="adam")
    assert named == scaled_to_batch(SCHEDULE, rule=ScalingRule(rule), from_batch=64, to_batch=6400, optimizer="adam")
    assert ("overshoots" in " ".join(named.caveats)) == (rule == "linear")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "nonsense"}, "rule must be one of 'sqrt', 'linear', got 'nonsense'"),
        ({"rule": None}, "rule must be one of 'sqrt', 'linear', got None"),
        ({"optimizer": "adamw"}, "optimizer must be one of 'sgd', 'adam', got 'adamw'"),
    ],
)
def test_another_rule_or_optimizer_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(InvalidValue, match=message):
        scaled(**changes)


def test_an_export_format_by_its_name_is_that_format():
    run = TargetRun(total_steps=100)
    for format in ExportFormat:
        named = export(SCHEDULE, format=format.value, run=run)
        assert "".join(named.chunks) == "".join(export(SCHEDULE, format=format, run=run).chunks)
    with pytest.raises(InvalidValue, match=r"format must be one of 'json', .*'megatron', got 'pytorch'"):
        export(SCHEDULE, format="pytorch", run=run)


def studied(space: Any) -> Report:
    def oracle(configuration: Any, steps: int, seed: int) -> tuple[list[tuple[int, float]], float]:
        loss = 1.0 + 0.1 * math.log(configuration.schedule.peak_lr / 0.01) ** 2
        return [(steps // 2, loss + 0.1), (steps, loss)], loss

    return simulate_study(oracle, space=space, total_steps=100, budget=3, seed=0)


def test_a_space_by_the_name_of_an_optimizer_is_its_default_space():
    by_name = studied("sgd")
    assert by_name.recommended == studied(OptimizerKind.SGD).recommended
    with pytest.raises(InvalidValue, match=r"space must be .*'sgd', 'adam'.*got 'adamw'"):
        studied("adamw")


def test_a_comparison_is_found_by_the_name_of_its_rival():
    report = studied("sgd")
    for comparison in report.comparisons:
        assert report.comparison(comparison.rival.value) is comparison
    with pytest.raises(InvalidValue, match=r"rival must be one of .*'incumbent'.*got 'cosine'"):
        report.comparison("cosine")


def test_the_default_space_of_an_optimizer_is_found_by_its_name():
    assert default_space("adam") == default_space(OptimizerKind.ADAM)
    for function in (default_space, peak_range):
        with pytest.raises(InvalidValue, match="optimizer must be one of 'sgd', 'adam', got 'lion'"):
            function("lion")


class Named(OpaqueWorkload):
    """Names its optimizer by a string."""

    name, version, description, default_steps = "named", "1", "For tests.", 100

    def __init__(self, optimizer: Any = "adam", *, peak_lr: Any = None) -> None:
        vars(self)["optimizer"] = optimizer
        vars(self)["peak_lr"] = peak_lr or {"adam": 2e-5, "sgd": (0.1, 1.0)}

    def train(self, run: Any, options: Any) -> None:
        """Nothing."""


def test_a_workload_names_its_optimizer_by_a_string():
    by_members = Named(OptimizerKind.ADAM, peak_lr={OptimizerKind.ADAM: 2e-5, OptimizerKind.SGD: (0.1, 1.0)})
    assert describe(Named()) == describe(by_members)
    assert describe(Named()).optimizer is OptimizerKind.ADAM


@pytest.mark.parametrize("workload", [Named("adamw"), Named(peak_lr={"adamw": 0.1})])
def test_a_workload_that_names_another_optimizer_is_refused(workload: Named):
    with pytest.raises(WorkloadError, match=r"named: (optimizer|peak_lr) must be one of 'sgd', 'adam', got 'adamw'"):
        describe(workload)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_string_of_a_schedules_values_is_checked(name: str):
    schedule = example(name)
    for field, value in schedule.family.model_dump().items():
        if isinstance(value, str) and field != "name":
            with pytest.raises(ValueError, match=f"family.*{field}"):
                type(schedule).model_validate(
                    schedule.model_dump() | {"family": schedule.family.model_dump() | {field: "nonsense"}}
                )
