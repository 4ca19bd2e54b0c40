from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings

from tests.unit.schedules.reference import reference_lr
from tests.unit.schedules.strategies import EXAMPLES, Case, cases, example


def _reference(case: Case) -> list[float]:
    spec = json.loads(case.schedule.to_json())
    return [reference_lr(spec, step=step, total_steps=case.total_steps) for step in range(case.total_steps + 2)]


@given(case=cases())
@settings(max_examples=300)
def test_every_schedule_equals_its_slow_reference_at_every_update_and_past_the_end(case: Case):
    lrs = case.schedule.lrs(case.total_steps)
    end = [case.schedule.lr(case.total_steps + k, total_steps=case.total_steps) for k in (0, 1)]
    np.testing.assert_allclose([*lrs, *end], _reference(case), rtol=1e-9, atol=1e-11 * case.schedule.peak_lr)


@pytest.mark.parametrize("total_steps", [80, 97, 1000])
@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_family_equals_its_slow_reference(name: str, floor: float, total_steps: int):
    case = Case(schedule=example(name, floor=floor), total_steps=total_steps, warmup=0)
    lrs = case.schedule.lrs(total_steps)
    np.testing.assert_allclose(lrs, _reference(case)[:total_steps], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_milestone_that_is_a_whole_update_up_to_rounding_is_that_update(tenths: int):
    schedule = example("multi_step", warmup=False).model_copy(
        update={"family": EXAMPLES["multi_step"].model_copy(update={"milestones": (tenths / 10,)})}
    )
    assert int(np.argmax(np.diff(schedule.lrs(10)) < 0)) + 1 == tenths
