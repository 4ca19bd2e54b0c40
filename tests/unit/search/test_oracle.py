"""What an oracle may return, and what of it is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import InvalidValue
from tuner.metric import Metric
from tuner.schedules import Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.oracle import EVALUATIONS, Outcome, outcome

CONFIGURATION = Configuration(schedule=Schedule(peak_lr=1e-3, family=Linear()))


def ask(result: Any, *, steps: int = 100, metric: Metric | None = None) -> Outcome:
    return outcome(lambda *_: result, CONFIGURATION, steps=steps, seed=0, metric=metric or Metric())


def test_the_end_of_a_curve_is_the_final_loss() -> None:
    assert ask(([(50, 2.0), (100, 1.5)], 1.0)).points == ((50, 2.0), (100, 1.0))
    assert ask(([(50, 2.0)], 1.0)).points == ((50, 2.0), (100, 1.0))


def test_numbers_of_numpy_are_numbers() -> None:
    points = np.array([[50.0, 2.0], [100.0, 1.0]])
    assert ask((points, np.float32(1.0))) == Outcome(points=((50, 2.0), (100, 1.0)), loss=1.0, steps=100)


@pytest.mark.parametrize(
    ("curve", "points", "steps"),
    [
        ([(10, 2.0), (20, 3.0)], ((10, 2.0), (20, 3.0)), 20),
        ([(10, 2.0), (20, math.nan), (30, math.nan)], ((10, 2.0),), 20),
        ([(10, math.inf)], (), 10),
        ([], (), 100),
        ([(0, math.inf)], (), 1),
    ],
)
def test_a_diverged_run_costs_what_it_trained(
    curve: list[tuple[int, float]], points: tuple[tuple[int, float], ...], steps: int
) -> None:
    assert ask((curve, None)) == Outcome(points=points, loss=None, steps=steps)


def test_a_maximized_metric_becomes_a_loss() -> None:
    result = ask(([(50, 0.8)], 0.9), metric=Metric(name="accuracy", direction="maximize"))
    assert result.points == ((50, -0.8), (100, -0.9))
    assert result.loss == -0.9


@pytest.mark.parametrize(
    ("result", "field"),
    [
        (1.0, "oracle"),
        (([], 1.0, 2.0), "oracle"),
        ((None, 1.0), "oracle.curve"),
        (([1.0, 2.0], 1.0), "oracle.curve.0"),
        (([(10, "low")], 1.0), "oracle.curve.0.loss"),
        (([(10, 1.0), (10, 1.0)], 1.0), "oracle.curve.1.step"),
        (([(20, 1.0), (10, 1.0)], 1.0), "oracle.curve.1.step"),
        (([(101, 1.0)], 1.0), "oracle.curve.0.step"),
        (([(-1, 1.0)], 1.0), "oracle.curve.0.step"),
        (([(10.5, 1.0)], 1.0), "oracle.curve.0.step"),
        (([(math.nan, 1.0)], 1.0), "oracle.curve.0.step"),
        (([(10, math.nan)], 1.0), "oracle.curve"),
        (([], math.nan), "oracle.final"),
        (([], math.inf), "oracle.final"),
        (([], "low"), "oracle.final"),
    ],
)
def test_nonsense_is_refused_with_its_field(result: Any, field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        ask(result)
    assert refused.value.field == field
    assert refused.value.allowed


def test_a_final_loss_that_is_not_finite_says_what_a_diverged_run_returns() -> None:
    with pytest.raises(InvalidValue, match="Return None"):
        ask(([], math.nan))


@given(steps=st.integers(10, 5000), data=st.data())
def test_a_dense_curve_has_no_more_looks_than_a_job(steps: int, data: st.DataObject) -> None:
    at: Sequence[int] = sorted(data.draw(st.sets(st.integers(0, steps), max_size=60)))
    points = ask(([(step, float(step)) for step in at], 1.0), steps=steps).points
    assert len(points) <= EVALUATIONS + 1
    assert points[-1] == (steps, 1.0)
    assert set(points[:-1]) <= {(step, float(step)) for step in at}
    assert [step for step, _ in points] == sorted({step for step, _ in points})
