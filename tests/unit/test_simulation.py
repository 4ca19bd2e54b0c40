"""A whole study on a function instead of training, its report included."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from tuner.errors import InvalidValue, StudyFailed
from tuner.metric import Metric
from tuner.report.report import Report, Rival
from tuner.schedules import Linear, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import RunStatus
from tuner.search.oracle import Oracle
from tuner.search.space import FloatRange, OptimizerKind, default_space
from tuner.simulation import simulate_study

STEPS = 200
SPACE = default_space(OptimizerKind.ADAM)
Result = tuple[list[tuple[int, float]], float | None]


def bowl(configuration: Configuration, steps: int, seed: int) -> Result:
    """The best peak is 3e-3; a decay to zero is better by 0.1 than none; the noise is small."""
    schedule = configuration.schedule
    last = schedule.lrs(steps)[-1] / schedule.peak_lr
    end = 1.0 + 0.05 * math.log(schedule.peak_lr / 3e-3) ** 2 + 0.1 * float(last) + 1e-4 * (seed % 7)
    return [(step, end + math.exp(-4.0 * step / steps)) for step in range(10, steps + 1, 10)], end


def study(**changes: Any) -> Report:
    arguments: dict[str, Any] = {"space": SPACE, "total_steps": STEPS, "budget": 6, "seed": 0}
    return simulate_study(changes.pop("oracle", bowl), **{**arguments, **changes})


def test_the_report_recommends_what_was_found_and_compares_it_with_the_default() -> None:
    report = study()
    assert 1e-3 < report.recommended.schedule.peak_lr < 1e-2
    assert report.cost.full_runs <= 6
    comparison = report.comparison(Rival.INCUMBENT)
    assert comparison is not None
    assert comparison.label.startswith("cosine")
    assert report.finding == report.summary[0]
    assert report.total_steps == STEPS


def test_equal_arguments_give_an_equal_report() -> None:
    assert study() == study()
    assert study(seed=1) != study()


@pytest.mark.parametrize("budget", [1, 2, 3.5, 10])
def test_any_budget_from_one_run_on_gives_a_result_and_is_not_exceeded(budget: float) -> None:
    report = study(budget=budget)
    assert report.cost.full_runs <= budget
    assert report.recommended.values


@pytest.mark.parametrize("devices", [1, 4])
def test_devices_share_one_budget(devices: int) -> None:
    assert study(devices=devices).cost.full_runs <= 6


def test_nothing_worse_than_a_named_incumbent_is_recommended() -> None:
    best = Schedule(peak_lr=3e-3, family=Linear(), warmup=Warmup(shape="linear", fraction=0.05))
    report = study(incumbent=best)
    comparison = report.comparison(Rival.INCUMBENT)
    assert comparison is not None
    assert comparison.label == best.label
    recommended = bowl(Configuration(schedule=report.recommended.schedule), STEPS, 0)[1]
    known = bowl(Configuration(schedule=best), STEPS, 0)[1]
    assert recommended is not None
    assert known is not None
    assert recommended <= known + 0.01


def test_curves_and_stops_are_in_the_report() -> None:
    rows = [run for trial in study(budget=10).trials for run in trial.runs]
    assert {run.status for run in rows} <= {RunStatus.FINISHED, RunStatus.STOPPED}
    assert all(run.steps == STEPS for run in rows if run.status is RunStatus.FINISHED)


def test_values_of_a_maximized_metric_stay_values() -> None:
    def accuracy(configuration: Configuration, steps: int, seed: int) -> Result:
        curve, end = bowl(configuration, steps, seed)
        assert end is not None
        return [(step, 3.0 - loss) for step, loss in curve], 3.0 - end

    report = study(oracle=accuracy, metric=Metric(name="accuracy", direction="maximize"))
    assert report.recommended.mean == pytest.approx(2.0, abs=0.3)
    assert report.metric.name == "accuracy"
    assert report.recommended.schedule == study().recommended.schedule


def test_options_are_searched_along_and_begin_with_the_jobs_own() -> None:
    def decayed(configuration: Configuration, steps: int, seed: int) -> Result:
        curve, end = bowl(configuration, steps, seed)
        assert end is not None
        excess = abs(dict(configuration.options)["decay"] - 0.3)  # type: ignore[operator]
        return [(step, loss + excess) for step, loss in curve], end + excess

    report = study(
        oracle=decayed, options={"decay": 0.5}, search={"options": {"decay": FloatRange(low=0.0, high=1.0)}}, budget=10
    )
    assert report.trials
    assert set(report.recommended.options) == {"decay"}


def test_a_space_may_be_an_optimizer_or_json() -> None:
    assert study(space=OptimizerKind.ADAM) == study() == study(space=SPACE.model_dump(mode="json"))


def test_a_study_in_which_everything_diverges_fails_with_its_reason() -> None:
    with pytest.raises(StudyFailed, match="diverged"):
        study(oracle=lambda configuration, steps, seed: ([], None))


def scaled(factor: float, offset: float) -> Oracle:
    def oracle(configuration: Configuration, steps: int, seed: int) -> Result:
        curve, end = bowl(configuration, steps, seed)
        assert end is not None
        return [(step, factor * loss + offset) for step, loss in curve], factor * end + offset

    return oracle


def by_chance(configuration: Configuration, steps: int, seed: int) -> Result:
    rng = random.Random(f"{configuration.label} {seed}")
    return [(step, rng.gauss(0.0, 1.0)) for step in range(1, steps + 1)], rng.gauss(0.0, 1.0)


def half_diverges(configuration: Configuration, steps: int, seed: int) -> Result:
    curve, end = bowl(configuration, steps, seed)
    return (curve, end) if configuration.schedule.peak_lr < 1e-3 else ([*curve[:-1][:3], (steps, math.nan)], None)


@pytest.mark.parametrize(
    "oracle",
    [
        lambda configuration, steps, seed: ([], bowl(configuration, steps, seed)[1]),
        lambda configuration, steps, seed: ([(step, 1.0) for step in range(1, steps + 1)], 1.0),
        lambda configuration, steps, seed: ([(step, 0.0) for step in range(1, steps + 1)], 0.0),
        scaled(1e12, 0.0),
        scaled(1e-12, 0.0),
        scaled(1.0, -100.0),
        scaled(1.0, 1e6),
        by_chance,
        half_diverges,
    ],
    ids=["no curve", "one value", "zero", "huge", "tiny", "negative", "far from zero", "by chance", "half diverges"],
)
@pytest.mark.parametrize("steps", [10, 300])
def test_whatever_the_losses_a_study_ends_with_a_report(oracle: Oracle, steps: int) -> None:
    report = study(oracle=oracle, total_steps=steps, budget=4)
    assert report.cost.full_runs <= 4
    assert report.summary


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"devices": 0}, "devices"),
        ({"devices": 1.5}, "devices"),
        ({"budget": 0.5}, "budget"),
        ({"total_steps": 5}, "total_steps"),
        ({"worth": 0.0}, "worth"),
        ({"seed": -1}, "seed"),
        ({"space": {"peak_lr": 1}}, "space.peak_lr"),
        ({"search": {"rungs": 3}}, "search.rungs"),
        ({"search": {"budget": 3}}, "search.budget"),
        ({"oracle": lambda configuration, steps, seed: ([], math.nan)}, "oracle.final"),
        ({"oracle": lambda configuration, steps, seed: ([(2, 1.0), (1, 1.0)], 1.0)}, "oracle.curve.1.step"),
        ({"oracle": lambda configuration, steps, seed: None}, "oracle"),
    ],
)
def test_nonsense_is_refused_with_its_field_and_what_is_allowed(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        study(**changes)
    assert refused.value.field == field
    assert refused.value.allowed
