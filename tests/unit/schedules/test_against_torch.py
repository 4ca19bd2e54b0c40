"""Equality with torch's schedulers where they express the same thing.

torch numbers updates as we do: the rate of update u is the one after u calls of ``step()``. It has no warm-up; there,
``LinearLR`` from ``1 / W`` over ``W - 1`` calls is ours. ``OneCycleLR`` reaches its ends one update earlier, at
``pct_start * total_steps - 1`` and ``total_steps - 1``.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from tuner.schedules import (
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Polynomial,
    Schedule,
    Sgdr,
    Step,
    Updates,
    Warmup,
)

_T, _W, _PEAK = 120, 20, 0.5


def _torch_lrs(build, *, updates: int = _T) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=_PEAK)
    scheduler = build(optimizer)
    lrs = []
    for _ in range(updates):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return lrs


def _every(updates: int) -> Updates:
    return Updates(updates=updates)


_SAME = {
    "LinearLR": (lambda opt: lr_scheduler.LinearLR(opt, 1.0, 0.1, _T), Linear(), 0.1),
    "CosineAnnealingLR": (lambda opt: lr_scheduler.CosineAnnealingLR(opt, _T, eta_min=0.05), Cosine(), 0.1),
    "CosineAnnealingWarmRestarts": (
        lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, 40, eta_min=0.05),
        Sgdr(cycles=3),
        0.1,
    ),
    "CosineAnnealingWarmRestarts growing": (
        lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, 8, T_mult=2),
        Sgdr(cycles=4, multiplier=2.0),
        0.0,
    ),
    "CosineAnnealingWarmRestarts, the last one cut off": (
        lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, 25, T_mult=2, eta_min=0.05),
        Sgdr(period=_every(25), multiplier=2.0),
        0.1,
    ),
    "CyclicLR, the last cycle cut off": (
        lambda opt: lr_scheduler.CyclicLR(opt, 0.05, _PEAK, 16, mode="triangular2", cycle_momentum=False),
        Cyclic(period=_every(32), mode="triangular2"),
        0.1,
    ),
    "PolynomialLR": (lambda opt: lr_scheduler.PolynomialLR(opt, _T, power=2.5), Polynomial(power=2.5), 0.0),
    "ExponentialLR": (lambda opt: lr_scheduler.ExponentialLR(opt, 0.97), Exponential(gamma=0.97, every=_every(1)), 0.0),
    "StepLR": (lambda opt: lr_scheduler.StepLR(opt, 17, gamma=0.3), Step(gamma=0.3, every=_every(17)), 0.0),
    "MultiStepLR": (
        lambda opt: lr_scheduler.MultiStepLR(opt, [30, 70, 70], gamma=0.3),
        MultiStep(gamma=0.3, milestones=(_every(30), _every(70), _every(70))),
        0.0,
    ),
    "CyclicLR triangular": (
        lambda opt: lr_scheduler.CyclicLR(opt, 0.05, _PEAK, 6, 24, cycle_momentum=False),
        Cyclic(cycles=4, rise=0.2),
        0.1,
    ),
    "CyclicLR triangular2": (
        lambda opt: lr_scheduler.CyclicLR(opt, 0.05, _PEAK, 15, mode="triangular2", cycle_momentum=False),
        Cyclic(cycles=4, mode="triangular2"),
        0.1,
    ),
    "CyclicLR exp_range": (
        lambda opt: lr_scheduler.CyclicLR(opt, 0.05, _PEAK, 15, mode="exp_range", gamma=0.98, cycle_momentum=False),
        Cyclic(cycles=4, mode="exp_range", gamma=0.98**30),
        0.1,
    ),
    "OneCycleLR": (
        lambda opt: lr_scheduler.OneCycleLR(
            opt,
            _PEAK,
            total_steps=_T + 1,
            pct_start=37 / (_T + 1),
            div_factor=20,
            final_div_factor=5,
            cycle_momentum=False,
        ),
        OneCycle(rise=_every(36), start_factor=0.05),
        0.01,
    ),
    "OneCycleLR linear": (
        lambda opt: lr_scheduler.OneCycleLR(
            opt,
            _PEAK,
            total_steps=_T + 1,
            pct_start=37 / (_T + 1),
            anneal_strategy="linear",
            div_factor=20,
            final_div_factor=5,
            cycle_momentum=False,
        ),
        OneCycle(rise=_every(36), start_factor=0.05, shape="linear"),
        0.01,
    ),
}


@pytest.mark.parametrize("name", _SAME)
def test_the_same_schedule_in_torch_has_the_same_rates(name: str):
    build, family, floor = _SAME[name]
    lrs = Schedule(peak_lr=_PEAK, family=family, floor=floor).lrs(_T)
    np.testing.assert_allclose(lrs, _torch_lrs(build), rtol=1e-9, atol=1e-12)


def test_a_linear_warm_up_is_torchs_linear_lr_from_one_wth():
    def build(optimizer):
        rise = lr_scheduler.LinearLR(optimizer, 1 / _W, 1.0, _W - 1)
        fall = lr_scheduler.CosineAnnealingLR(optimizer, _T - _W)
        return lr_scheduler.SequentialLR(optimizer, [rise, fall], [_W])

    schedule = Schedule(peak_lr=_PEAK, family=Cosine(), warmup=Warmup(shape="linear", updates=_W))
    np.testing.assert_allclose(schedule.lrs(_T), _torch_lrs(build), rtol=1e-9, atol=1e-12)


def test_a_constant_warm_up_is_torchs_constant_lr():
    warmup = Warmup(shape="constant", updates=_W, start_factor=0.25)
    lrs = Schedule(peak_lr=_PEAK, family=Constant(), warmup=warmup).lrs(_T)
    np.testing.assert_allclose(lrs, _torch_lrs(lambda opt: lr_scheduler.ConstantLR(opt, 0.25, _W)), rtol=1e-12)


def test_torchs_cosine_rises_after_its_end_and_ours_does_not():
    theirs = _torch_lrs(lambda opt: lr_scheduler.CosineAnnealingLR(opt, _T), updates=_T + 20)
    schedule = Schedule(peak_lr=_PEAK, family=Cosine())
    assert theirs[-1] > theirs[_T]
    assert schedule.lr(_T + 19, total_steps=_T) == schedule.lr(_T, total_steps=_T) == 0
