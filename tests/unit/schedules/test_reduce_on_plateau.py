from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.optim.lr_scheduler import ReduceLROnPlateau

from tuner.errors import InvalidValue
from tuner.schedules import Constant, ReduceOnPlateau, Schedule, ScheduleLR, Warmup

_LOSSES = st.lists(st.sampled_from([3.0, 2.0, 1.9999, 1.5, 1.2, 1.0, 0.9, 0.5, math.nan, math.inf]), max_size=60)
_VALUES = st.lists(st.floats(0.0, 1.0), max_size=60)
_EVERY = 10
_FAMILIES = st.builds(
    ReduceOnPlateau,
    factor=st.floats(0.05, 0.95),
    patience=st.integers(0, 4),
    cooldown=st.integers(0, 3),
    threshold=st.sampled_from([0.0, 1e-4, 0.3]),
    threshold_mode=st.sampled_from(["relative", "absolute"]),
    eps=st.sampled_from([0.0, 1e-8, 0.005, 0.05]),
)
_SCHEDULES = st.builds(
    Schedule,
    peak_lr=st.floats(1e-6, 10.0),
    family=_FAMILIES,
    floor=st.sampled_from([0.0, 0.2]),
    warmup=st.sampled_from([Warmup(), Warmup(shape="linear", updates=35)]),
)


def _torchs_rates(schedule: Schedule, losses: list[float], *, mode: Literal["min", "max"]) -> list[float]:
    """The rate after each evaluation."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=schedule.peak_lr)
    family = schedule.family
    assert isinstance(family, ReduceOnPlateau)
    scheduler = ReduceLROnPlateau(
        optimizer,
        mode=mode,
        factor=family.factor,
        patience=family.patience,
        cooldown=family.cooldown,
        threshold=family.threshold,
        threshold_mode="rel" if family.threshold_mode == "relative" else "abs",
        min_lr=schedule.floor * schedule.peak_lr,
        eps=family.eps,
    )
    rates = []
    for loss in losses:
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def _at_steps(losses: list[float], *, after: int = 0) -> list[tuple[int, float]]:
    return [(after + (place + 1) * _EVERY, loss) for place, loss in enumerate(losses)]


@given(schedule=_SCHEDULES, losses=_LOSSES)
def test_its_rates_are_those_of_torch_bit_for_bit(schedule: Schedule, losses: list[float]):
    warmup = schedule.warmup.length(1_000)
    evaluations = _at_steps(losses, after=warmup)
    ours = [schedule.lr(step, total_steps=1_000, losses=evaluations) for step, _ in evaluations]
    assert ours == _torchs_rates(schedule, losses, mode="min")


@given(schedule=_SCHEDULES, values=_VALUES)
def test_the_values_of_a_maximized_metric_count_as_in_torchs_mode_max(schedule: Schedule, values: list[float]):
    warmup = schedule.warmup.length(1_000)
    evaluations = _at_steps([-value for value in values], after=warmup)
    ours = [schedule.lr(step, total_steps=1_000, losses=evaluations) for step, _ in evaluations]
    assert ours == _torchs_rates(schedule, values, mode="max")


@given(schedule=_SCHEDULES, losses=_LOSSES, cut=st.integers(0, 700))
def test_the_rate_of_an_update_depends_on_earlier_evaluations_alone(schedule: Schedule, losses: list[float], cut: int):
    evaluations = _at_steps(losses)
    known = [one for one in evaluations if one[0] <= cut]
    rates = schedule.lrs(700, losses=evaluations)
    np.testing.assert_array_equal(schedule.lrs(700, losses=known)[: cut + 1], rates[: cut + 1])
    np.testing.assert_array_equal(schedule.lrs_at(range(0, 700, 7), total_steps=700, losses=evaluations), rates[::7])


@given(schedule=_SCHEDULES, losses=st.lists(st.floats(-5, 5), max_size=3))
def test_evaluations_in_the_warmup_do_not_count(schedule: Schedule, losses: list[float]):
    warmup = schedule.warmup.length(100)
    early = [(step, loss) for step, loss in zip((0, 20, 35), losses, strict=False) if step <= warmup]
    late = [(60, 1.0), (80, 1.0)]
    np.testing.assert_array_equal(schedule.lrs(100, losses=[*early, *late]), schedule.lrs(100, losses=late))


def test_without_evaluations_the_rates_are_those_of_a_run_that_always_improves():
    schedule = Schedule(peak_lr=0.1, family=ReduceOnPlateau(patience=0), warmup=Warmup(shape="linear", updates=10))
    improving = [(step, 1.0 / step) for step in range(10, 100, 10)]
    np.testing.assert_array_equal(schedule.lrs(100), schedule.lrs(100, losses=improving))
    np.testing.assert_array_equal(schedule.lrs(100), schedule.model_copy(update={"family": Constant()}).lrs(100))


def test_a_negative_loss_improves_when_it_falls():
    schedule = Schedule(peak_lr=1.0, family=ReduceOnPlateau(patience=0, threshold=0.1))
    losses = [(10, -1.0), (20, -1.05), (30, -1.2)]
    assert [schedule.lr(step, total_steps=40, losses=losses) for step, _ in losses] == pytest.approx([1.0, 0.1, 0.1])


def test_evaluations_out_of_order_are_refused():
    with pytest.raises(InvalidValue, match=r"losses must be at ascending updates, got \[20, 10\]"):
        Schedule(peak_lr=1.0, family=ReduceOnPlateau()).lrs(100, losses=[(20, 1.0), (10, 1.0)])


def test_it_follows_the_loss_and_no_other_family_does():
    schedule = Schedule(peak_lr=1.0, family=ReduceOnPlateau())
    other = Schedule(peak_lr=1.0, family=Constant())
    assert schedule.follows_loss
    assert not other.follows_loss
    assert other.stand_in is other


@given(schedule=_SCHEDULES)
def test_its_stand_in_is_a_schedule_of_the_update_that_is_reduced(schedule: Schedule):
    stand_in = schedule.stand_in
    rates = stand_in.lrs(1_000)
    assert not stand_in.follows_loss
    assert rates.max() == pytest.approx(schedule.peak_lr)
    assert rates[-1] < schedule.peak_lr
    assert (np.diff(rates[schedule.warmup.length(1_000) :]) <= 0).all()


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("factor", 1.0, "less than 1"),
        ("factor", 0.0, "greater than 0"),
        ("patience", -1, "greater than or equal to 0"),
        ("cooldown", 1.5, "valid integer"),
        ("threshold", math.nan, "finite number"),
        ("eps", -1e-8, "greater than or equal to 0"),
    ],
)
def test_bad_settings_are_refused_with_field_and_range(field: str, value: float, allowed: str):
    with pytest.raises(ValidationError, match=rf"{field}\n.*{allowed}"):
        ReduceOnPlateau.model_validate({field: value})


_HALVING = Schedule(
    peak_lr=0.4, family=ReduceOnPlateau(factor=0.5, patience=1), warmup=Warmup(updates=4, shape="linear")
)


def _scheduler() -> tuple[torch.optim.Optimizer, ScheduleLR]:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 0.25)]
    optimizer = torch.optim.SGD(groups)
    return optimizer, ScheduleLR(optimizer, _HALVING, total_steps=40)


def _follow(optimizer: torch.optim.Optimizer, scheduler: ScheduleLR, *, updates: range) -> list[float]:
    rates = []
    for update in updates:
        rates.append(optimizer.param_groups[0]["lr"])
        assert optimizer.param_groups[1]["lr"] == pytest.approx(rates[-1] / 4)
        optimizer.step()
        scheduler.step()
        if (update + 1) % 5 == 0:
            scheduler.observe(1.0)
    return rates


def test_the_scheduler_follows_the_losses_that_it_observes():
    rates = _follow(*_scheduler(), updates=range(40))
    assert rates == _HALVING.lrs(40, losses=[(step, 1.0) for step in range(5, 41, 5)]).tolist()
    assert min(rates) < 0.4 / 4


@pytest.mark.parametrize("cut", [2, 17, 20])
def test_a_resumed_scheduler_follows_the_losses_of_its_checkpoint(cut: int):
    whole = _follow(*_scheduler(), updates=range(40))
    optimizer, scheduler = _scheduler()
    _follow(optimizer, scheduler, updates=range(cut))
    state = scheduler.state_dict()
    optimizer, scheduler = _scheduler()
    scheduler.load_state_dict(state)
    assert _follow(optimizer, scheduler, updates=range(cut, 40)) == whole[cut:]


def test_a_scheduler_of_another_family_takes_no_account_of_losses():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = ScheduleLR(optimizer, Schedule(peak_lr=0.4, family=Constant()), total_steps=40)
    for _ in range(20):
        optimizer.step()
        scheduler.step()
        scheduler.observe(1.0)
    assert optimizer.param_groups[0]["lr"] == 0.4
    assert "losses" not in scheduler.state_dict()
