from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.exports import paste_in_code, schedule_csv, schedule_json
from tuner.schedules import (
    Constant,
    Cosine,
    InverseSqrt,
    Knot,
    Linear,
    OneCycle,
    PiecewiseLinear,
    Schedule,
    Warmup,
    Wsd,
)

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
    header, *lines = schedule_csv(schedule, total_steps=total_steps)
    assert header == "update,lr\n"
    updates, lrs = zip(*(line.removesuffix("\n").split(",") for line in lines), strict=True)
    assert [int(update) for update in updates] == list(range(total_steps))
    assert [float(lr) for lr in lrs] == schedule.lrs(total_steps).tolist()


def test_the_csv_of_a_horizon_above_one_chunk_has_every_update_once():
    lines = list(schedule_csv(SCHEDULES[2], total_steps=70_000))
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(70_000))


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
