from __future__ import annotations

import io

import pytest
import torch
from torch.optim.lr_scheduler import LRScheduler, SequentialLR

from tests.unit.schedules.strategies import EXAMPLES, example
from tuner.errors import InvalidValue
from tuner.schedules import Linear, Schedule, Warmup
from tuner.schedules.torch_adapter import ScheduleLR

_T = 100
_SCHEDULE = Schedule(peak_lr=0.4, family=Linear(), warmup=Warmup(shape="linear", updates=10))


def _optimizer(*lrs: float) -> torch.optim.SGD:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs])


def _train(optimizer: torch.optim.Optimizer, scheduler: LRScheduler, *, updates: int) -> list[list[float]]:
    """Rates of every group at every update."""
    rates = []
    for _ in range(updates):
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_update_is_trained_at_the_schedules_rate_and_the_end_is_held(name: str):
    schedule = example(name)
    optimizer = _optimizer(1.0)
    scheduler = ScheduleLR(optimizer, schedule, total_steps=_T)
    rates = _train(optimizer, scheduler, updates=_T + 5)
    end = schedule.lr(_T, total_steps=_T)
    assert [rate for (rate,) in rates] == [*schedule.lrs(_T).tolist(), *[end] * 5]
    assert isinstance(scheduler, LRScheduler)
    assert scheduler.get_last_lr() == [end]


def test_groups_keep_the_ratios_of_their_initial_rates():
    optimizer = _optimizer(0.01, 0.002, 0.0)
    rates = _train(optimizer, ScheduleLR(optimizer, _SCHEDULE, total_steps=_T), updates=_T)
    for step, (first, second, frozen) in enumerate(rates):
        assert first == _SCHEDULE.lrs(_T)[step]
        assert second == pytest.approx(first / 5, rel=1e-12)
        assert frozen == 0


def test_a_rate_held_in_a_tensor_is_changed_in_place():
    held = torch.tensor(0.1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=held)
    ScheduleLR(optimizer, _SCHEDULE, total_steps=_T)
    assert optimizer.param_groups[0]["lr"] is held
    assert float(held) == pytest.approx(0.04)


@pytest.mark.parametrize("optimizer_first", [True, False])
@pytest.mark.parametrize("resumed_at", [0, 1, 10, 57, _T - 1, _T + 3])
@pytest.mark.parametrize("name", ["cosine", "wsd 1-sqrt", "cyclic exp_range", "segments"])
def test_a_resumed_run_equals_the_uninterrupted_one(name: str, resumed_at: int, optimizer_first: bool):
    schedule = example(name)
    optimizer = _optimizer(0.1, 0.05)
    whole = _train(optimizer, ScheduleLR(optimizer, schedule, total_steps=_T), updates=_T + 5)

    optimizer = _optimizer(0.1, 0.05)
    scheduler = ScheduleLR(optimizer, schedule, total_steps=_T)
    _train(optimizer, scheduler, updates=resumed_at)
    saved = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, saved)
    saved.seek(0)
    loaded = torch.load(saved, weights_only=True)

    optimizer = _optimizer(0.1, 0.05)
    if optimizer_first:
        optimizer.load_state_dict(loaded["optimizer"])
    scheduler = ScheduleLR(optimizer, schedule, total_steps=_T)
    scheduler.load_state_dict(loaded["scheduler"])
    if not optimizer_first:
        optimizer.load_state_dict(loaded["optimizer"])
    assert _train(optimizer, scheduler, updates=_T + 5 - resumed_at) == whole[resumed_at:]


def test_loading_the_scheduler_alone_sets_the_rate_of_the_next_update():
    optimizer = _optimizer(1.0)
    state = {**ScheduleLR(optimizer, _SCHEDULE, total_steps=_T).state_dict(), "updates_done": 55}
    scheduler = ScheduleLR(optimizer, _SCHEDULE, total_steps=_T)
    scheduler.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == _SCHEDULE.lrs(_T)[55]
    assert scheduler.get_last_lr() == [_SCHEDULE.lrs(_T)[55]]


@pytest.mark.parametrize(
    ("schedule", "total_steps", "field"), [(_SCHEDULE, 99, "total_steps"), (example("cosine"), _T, "schedule")]
)
def test_the_state_of_another_schedule_is_refused(schedule: Schedule, total_steps: int, field: str):
    state = ScheduleLR(_optimizer(1.0), schedule, total_steps=total_steps).state_dict()
    with pytest.raises(InvalidValue, match=rf"^{field} must be .* Build the scheduler with"):
        ScheduleLR(_optimizer(1.0), _SCHEDULE, total_steps=_T).load_state_dict(state)


def test_the_state_of_another_kind_of_scheduler_is_refused():
    with pytest.raises(InvalidValue, match="schedule must be"):
        ScheduleLR(_optimizer(1.0), _SCHEDULE, total_steps=_T).load_state_dict({"last_epoch": 3})


def test_an_optimizer_without_any_rate_is_refused():
    with pytest.raises(InvalidValue, match="above 0 in at least one parameter group"):
        ScheduleLR(_optimizer(0.0, 0.0), _SCHEDULE, total_steps=_T)


def test_a_schedule_that_does_not_fit_is_refused():
    with pytest.raises(InvalidValue, match=r"warmup\.updates must be less than the whole run of 8 updates"):
        ScheduleLR(_optimizer(1.0), _SCHEDULE, total_steps=8)


def test_torch_warns_of_steps_in_the_wrong_order():
    scheduler = ScheduleLR(_optimizer(1.0), _SCHEDULE, total_steps=_T)
    with pytest.warns(UserWarning, match=r"lr_scheduler\.step\(\)` before `optimizer\.step"):
        scheduler.step()


def test_it_works_inside_torchs_sequential_scheduler():
    optimizer = _optimizer(1.0)
    first = ScheduleLR(optimizer, _SCHEDULE, total_steps=20)
    second = ScheduleLR(optimizer, Schedule(peak_lr=0.4, family=Linear()), total_steps=30)
    rates = _train(optimizer, SequentialLR(optimizer, [first, second], [20]), updates=50)
    expected = [*_SCHEDULE.lrs(20), *Schedule(peak_lr=0.4, family=Linear()).lrs(30)]
    assert [rate for (rate,) in rates] == expected
