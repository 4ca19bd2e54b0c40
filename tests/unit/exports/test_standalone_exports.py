from __future__ import annotations

import json
import tracemalloc
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import InvalidValue
from tuner.exports import ExportFormat, TargetRun, export, paste_in_code, schedule_csv, schedule_json
from tuner.schedules import (
    Constant,
    Cosine,
    InverseSqrt,
    Knot,
    Linear,
    OneCycle,
    PiecewiseLinear,
    Schedule,
    Step,
    Warmup,
    Wsd,
)
from tuner.schedules.lengths import MAX_STEPS

WARMUP = Warmup(shape="cosine", fraction=0.1)
KNOTS = tuple(Knot(at=at / 20, factor=1.0 - at / 40) for at in range(21))
SCHEDULES = (
    Schedule(peak_lr=0.1, family=Constant()),
    Schedule(peak_lr=0.1, family=Cosine(), warmup=WARMUP, floor=0.01),
    Schedule(peak_lr=0.03, family=Linear(), warmup=Warmup(shape="linear", updates=7)),
    Schedule(peak_lr=1 / 3, family=Wsd(cooldown=0.35), warmup=WARMUP),
    Schedule(peak_lr=0.2, family=InverseSqrt(), warmup=WARMUP),
    Schedule(peak_lr=0.2, family=OneCycle()),
    Schedule(peak_lr=0.2, family=PiecewiseLinear(knots=KNOTS)),
)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(SCHEDULES), st.floats(1e-8, 1e2), st.integers(20, 500))
def test_the_csv_gives_back_every_rate_to_the_last_bit(schedule, peak_lr, total_steps):
    schedule = schedule.model_copy(update={"peak_lr": peak_lr})
    header, *lines = "".join(schedule_csv(schedule, total_steps=total_steps)).splitlines()
    assert header == "update,lr"
    updates, lrs = zip(*(line.split(",") for line in lines), strict=True)
    assert [int(update) for update in updates] == list(range(total_steps))
    assert [float(lr) for lr in lrs] == schedule.lrs(total_steps).tolist()


def test_the_csv_of_a_horizon_above_one_block_has_every_update_once():
    lines = "".join(schedule_csv(SCHEDULES[2], total_steps=70_000)).splitlines()
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(70_000))


STEPPED = Schedule(peak_lr=0.1, family=Step(gamma=0.7, every=0.07), floor=0.01)


@pytest.mark.parametrize("schedule", [*SCHEDULES, STEPPED], ids=lambda schedule: schedule.family.name)
@pytest.mark.parametrize("name", ExportFormat)
def test_an_export_of_the_longest_run_begins_in_constant_memory(schedule: Schedule, name: ExportFormat):
    tracemalloc.start()
    try:
        chunks = iter(export(schedule, format=name, run=TargetRun(total_steps=MAX_STEPS)).chunks)
        text = "".join(islice(chunks, 4))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert text
    assert peak < 2**23  # one float64 per update would be 800 MB


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.family.name)
def test_rates_of_some_updates_and_rates_in_blocks_are_those_of_the_whole_run(schedule: Schedule):
    whole = schedule.lrs(20_000)
    steps = [0, 3, 3, 8191, 8192, 19_999, 20_000]
    at = schedule.lrs_at(steps, total_steps=20_000)
    assert at.tolist() == [schedule.lr(step, total_steps=20_000) for step in steps]
    assert np.concatenate(list(schedule.lr_blocks(20_000))).tolist() == whole.tolist()


@pytest.mark.parametrize("steps", [[-1], [5, 4], [20_001]])
def test_rates_of_updates_that_the_run_does_not_have_in_this_order_are_refused(steps: list[int]):
    with pytest.raises(InvalidValue, match="steps must be ascending"):
        SCHEDULES[0].lrs_at(steps, total_steps=20_000)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.family.name)
def test_the_json_gives_back_the_schedule(schedule):
    assert Schedule.from_json(schedule_json(schedule)) == schedule
    assert json.loads(schedule_json(schedule))["version"] == 1


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.family.name)
def test_the_pasted_code_trains_with_the_schedule(schedule):
    model = torch.nn.Linear(3, 1)
    used = []

    class Recording(torch.optim.SGD):
        def step(self, closure=None):
            used.append(self.param_groups[0]["lr"])
            return super().step(closure)

    code = paste_in_code(schedule, total_steps=40)
    exec(code, {"optimizer": Recording(model.parameters(), lr=1.0)})
    assert used == schedule.lrs(40).tolist()
    assert max(map(len, code.splitlines())) <= 79
