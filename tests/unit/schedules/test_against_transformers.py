"""Equality with ``transformers.get_scheduler`` where it expresses the same thing.

Its warm-up is ``t / W``, so its update 0 trains at rate 0, and its update t has our rate of update t - 1. From update
W on both number alike. Its ``warmup_stable_decay`` also starts its warm-up at its floor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from transformers.optimization import get_scheduler

from tuner.schedules import Constant, Cosine, InverseSqrt, Linear, Polynomial, Schedule, Sgdr, Updates, Warmup, Wsd

_T, _W, _PEAK = 150, 30, 0.5
_DECAY = {"num_decay_steps": 40, "min_lr_ratio": 0.1}
_SAME: dict[str, Any] = {
    "constant_with_warmup": ({}, Constant(), 0.0),
    "linear": ({}, Linear(), 0.0),
    "cosine": ({}, Cosine(), 0.0),
    "cosine_with_min_lr": ({"min_lr_rate": 0.1}, Cosine(), 0.1),
    "cosine_with_restarts": ({"num_cycles": 4}, Sgdr(cycles=4), 0.0),
    "polynomial": ({"power": 2.0, "lr_end": 0.05}, Polynomial(power=2.0), 0.1),
    "inverse_sqrt": ({"timescale": 25}, InverseSqrt(timescale=Updates(updates=25)), 0.0),
    "warmup_stable_decay": (
        {**_DECAY, "decay_type": "linear"},
        Wsd(cooldown=Updates(updates=40), shape="linear"),
        0.1,
    ),
    "warmup_stable_decay 1-sqrt": (
        {**_DECAY, "decay_type": "1-sqrt"},
        Wsd(cooldown=Updates(updates=40), shape="1-sqrt"),
        0.1,
    ),
    "warmup_stable_decay cosine": (
        {**_DECAY, "decay_type": "cosine"},
        Wsd(cooldown=Updates(updates=40), shape="cosine"),
        0.1,
    ),
}


def _transformers_lrs(name: str, *, warmup: int, options: dict[str, object]) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=_PEAK)
    scheduler = get_scheduler(
        name.split()[0],
        optimizer,
        num_warmup_steps=warmup,
        num_training_steps=_T,
        scheduler_specific_kwargs=dict(options),
    )
    lrs = []
    for _ in range(_T + 1):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return lrs


@pytest.mark.parametrize("name", _SAME)
def test_the_same_schedule_in_transformers_is_one_update_behind_in_the_warm_up_and_equal_after_it(name: str):
    options, family, floor = _SAME[name]
    theirs = _transformers_lrs(name, warmup=_W, options=options)
    start = floor if family.name == "wsd" else 0.0
    warmup = Warmup(shape="linear", updates=_W, start_factor=start)
    schedule = Schedule(peak_lr=_PEAK, family=family, warmup=warmup, floor=floor)
    ours = [*schedule.lrs(_T), schedule.lr(_T, total_steps=_T)]
    assert theirs[0] == start * _PEAK
    np.testing.assert_allclose(ours[: _W - 1], theirs[1:_W], rtol=1e-9)
    np.testing.assert_allclose(ours[_W:], theirs[_W:], rtol=1e-9, atol=1e-12)


def test_with_a_time_scale_of_the_warm_up_the_inverse_square_root_is_noams():
    schedule = Schedule(
        peak_lr=_PEAK,
        family=InverseSqrt(timescale=Updates(updates=_W)),
        warmup=Warmup(shape="linear", updates=_W),
    )
    noam = [_PEAK * min((u + 1) / _W, math.sqrt(_W / max(u, 1))) for u in range(_T)]
    np.testing.assert_allclose(schedule.lrs(_T), noam, rtol=1e-12)
