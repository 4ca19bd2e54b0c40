"""Every group of every optimizer of a run keeps its ratio to the reference optimizer's largest rate."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import LRScheduler, SequentialLR

from tests.unit.schedules.strategies import EXAMPLES, example
from tuner.errors import InvalidValue
from tuner.schedules import Cosine, Linear, Schedule, Warmup
from tuner.schedules.torch_adapter import GroupRates, ScheduleLR
from tuner.training.run import TrainingRun

_T = 100
_SCHEDULE = Schedule(peak_lr=0.4, family=Linear(), warmup=Warmup(shape="linear", updates=10))
_LRS = _SCHEDULE.lrs(_T)


class Run(TrainingRun):
    """A run that ignores reports."""

    def __init__(self, schedule: Schedule = _SCHEDULE, *, total_steps: int = _T) -> None:
        super().__init__(schedule=schedule, total_steps=total_steps, seed=0, device="cpu", snapshot_dir=Path())

    def report(self, step: int, *, value: object, train_loss: object = None) -> None:
        """Nothing."""

    def finish(self, step: int, *, value: object, train_loss: object = None) -> None:
        """Nothing."""


def _group(lr: float | None) -> dict[str, object]:
    return {"params": [torch.nn.Parameter(torch.zeros(1))], **({} if lr is None else {"lr": lr})}


def _adam(*lrs: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW([_group(lr) for lr in lrs], lr=lrs[0])


def _muon(lr: float) -> torch.optim.Optimizer:
    return torch.optim.Muon([torch.nn.Parameter(torch.zeros(2, 2))], lr=lr)


def _rates(*optimizers: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]


def _train(scheduler: ScheduleLR, *optimizers: torch.optim.Optimizer, updates: int = _T) -> np.ndarray:
    """Rates of all groups of all optimizers at every update, of shape ``(updates, groups)``."""
    rates = []
    for _ in range(updates):
        rates.append(_rates(*optimizers))
        for optimizer in optimizers:
            optimizer.step()
        scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize("name", EXAMPLES)
def test_adamw_beside_muon_keeps_the_ratio_that_they_were_built_with(name: str):
    schedule = example(name, floor=0.1)
    muon, adam = _muon(0.02), _adam(3e-4, 1e-4)
    rates = _train(ScheduleLR([muon, adam], schedule, total_steps=_T), muon, adam)
    np.testing.assert_allclose(rates, np.outer(schedule.lrs(_T), [1, 0.015, 0.005]), rtol=1e-12)


def test_a_scheduler_for_each_optimizer_of_a_run_keeps_the_ratio_as_well():
    muon, adam = _muon(0.02), _adam(3e-4)
    run = Run()
    schedulers = [run.scheduler(muon), run.scheduler(adam)]
    for update in range(_T):
        np.testing.assert_allclose(_rates(muon, adam), _LRS[update] * np.array([1, 0.015]), rtol=1e-12)
        for optimizer, scheduler in zip((muon, adam), schedulers, strict=True):
            optimizer.step()
            scheduler.step()


def test_a_run_gives_one_scheduler_for_all_of_its_optimizers():
    generator, discriminator = _adam(1e-4), _adam(4e-4)
    rates = _train(Run().scheduler(generator, discriminator), generator, discriminator)
    np.testing.assert_allclose(rates, np.outer(_LRS, [1, 4]), rtol=1e-12)


def test_the_named_optimizer_is_the_reference():
    muon, adam = _muon(0.02), _adam(3e-4)
    rates = _train(Run().scheduler(adam, muon, reference=muon), adam, muon)
    np.testing.assert_allclose(rates, np.outer(_LRS, [0.015, 1]), rtol=1e-12)

    muon, adam = _muon(0.02), _adam(3e-4)
    run = Run()
    run.scheduler(adam, reference=muon)
    run.scheduler(muon)
    np.testing.assert_allclose(_rates(adam, muon), _LRS[0] * np.array([0.015, 1]), rtol=1e-12)


def test_a_second_reference_of_a_run_is_refused():
    muon, adam = _muon(0.02), _adam(3e-4)
    run = Run()
    run.scheduler(adam)
    with pytest.raises(InvalidValue, match=r"reference must be .* 0\.0003 .* first call"):
        run.scheduler(muon, reference=muon)


def test_an_optimizer_that_is_built_anew_for_the_same_run_follows_like_the_first():
    run = Run()
    run.scheduler(_adam(0.3, 0.1))
    again = _adam(0.3, 0.1)
    run.scheduler(again)
    np.testing.assert_allclose(_rates(again), _LRS[0] * np.array([1, 1 / 3]), rtol=1e-12)


@given(
    lrs=st.lists(st.lists(st.floats(1e-7, 1e3), min_size=1, max_size=3), min_size=1, max_size=3),
    reference=st.integers(0, 2),
    update=st.integers(0, _T - 1),
)
@settings(max_examples=60)
def test_any_groups_keep_their_ratios_to_the_references_largest(lrs: list[list[float]], reference: int, update: int):
    optimizers = [_adam(*each) for each in lrs]
    reference %= len(optimizers)
    scheduler = ScheduleLR(optimizers, _SCHEDULE, total_steps=_T, reference=optimizers[reference])
    for _ in range(update):
        for optimizer in optimizers:
            optimizer.step()
        scheduler.step()
    initial = np.array([lr for each in lrs for lr in each])
    np.testing.assert_allclose(_rates(*optimizers), _LRS[update] * initial / max(lrs[reference]), rtol=1e-12)
    assert scheduler.get_last_lr() == _rates(*optimizers)


@pytest.mark.parametrize("resumed_at", [0, 1, 10, 57, _T - 1])
@pytest.mark.parametrize("optimizers_first", [True, False])
def test_several_optimizers_resume_exactly(resumed_at: int, optimizers_first: bool):
    muon, adam = _muon(0.02), _adam(3e-4)
    whole = _train(ScheduleLR([muon, adam], _SCHEDULE, total_steps=_T), muon, adam)
    muon, adam = _muon(0.02), _adam(3e-4)
    scheduler = ScheduleLR([muon, adam], _SCHEDULE, total_steps=_T)
    _train(scheduler, muon, adam, updates=resumed_at)
    saved = copy.deepcopy([each.state_dict() for each in (muon, adam, scheduler)])

    muon, adam = _muon(0.02), _adam(3e-4)

    def load() -> None:
        muon.load_state_dict(saved[0])
        adam.load_state_dict(saved[1])

    if optimizers_first:
        load()
    scheduler = ScheduleLR([muon, adam], _SCHEDULE, total_steps=_T)
    scheduler.load_state_dict(saved[2])
    if not optimizers_first:
        load()
    rest = _train(scheduler, muon, adam, updates=_T - resumed_at)
    np.testing.assert_array_equal(rest, whole[resumed_at:])


@pytest.mark.parametrize("lr", [0.005, 0.02, None])
@pytest.mark.parametrize("added_at", [0, 1, 12, _T - 2])
def test_a_group_that_is_added_later_has_its_ratio_from_the_next_update_on(lr: float | None, added_at: int):
    optimizer = _adam(0.01, 0.002)
    scheduler = ScheduleLR(optimizer, _SCHEDULE, total_steps=_T)
    _train(scheduler, optimizer, updates=added_at)
    optimizer.add_param_group(_group(lr))
    ratio = (0.01 if lr is None else lr) / 0.01
    rates = _train(scheduler, optimizer, updates=_T - added_at)
    np.testing.assert_allclose(rates, np.outer(_LRS[added_at:], [1, 0.2, ratio]), rtol=1e-12)


def test_a_group_that_is_added_to_another_optimizer_than_the_reference_has_its_ratio():
    muon, adam = _muon(0.02), _adam(3e-4)
    scheduler = ScheduleLR([muon, adam], _SCHEDULE, total_steps=_T)
    _train(scheduler, muon, adam, updates=40)
    adam.add_param_group(_group(1e-4))
    rates = _train(scheduler, muon, adam, updates=60)
    np.testing.assert_allclose(rates, np.outer(_LRS[40:], [1, 0.015, 0.005]), rtol=1e-12)


def test_a_run_resumes_with_the_groups_that_were_added():
    optimizer = _adam(0.01)
    scheduler = ScheduleLR(optimizer, _SCHEDULE, total_steps=_T)
    _train(scheduler, optimizer, updates=30)
    optimizer.add_param_group(_group(0.005))
    _train(scheduler, optimizer, updates=10)
    saved = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))

    optimizer = _adam(0.01)
    scheduler = ScheduleLR(optimizer, _SCHEDULE, total_steps=_T)
    optimizer.add_param_group(_group(0.005))
    optimizer.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    np.testing.assert_allclose(_train(scheduler, optimizer, updates=60), np.outer(_LRS[40:], [1, 0.5]), rtol=1e-12)


def test_a_group_is_added_while_one_of_several_schedules_in_sequence_is_at_work():
    optimizer = _adam(1.0)
    parts: list[LRScheduler] = [ScheduleLR(optimizer, _SCHEDULE, total_steps=20)]
    parts.append(ScheduleLR(optimizer, _SCHEDULE, total_steps=30))
    scheduler = SequentialLR(optimizer, parts, [20])
    rates = []
    for update in range(50):
        if update == 25:
            optimizer.add_param_group(_group(0.5))
        rates.append(_rates(optimizer))
        optimizer.step()
        scheduler.step()
    assert [each[0] for each in rates] == [*_SCHEDULE.lrs(20), *_SCHEDULE.lrs(30)]
    np.testing.assert_allclose([each[1] for each in rates[25:]], 0.5 * _SCHEDULE.lrs(30)[5:], rtol=1e-12)


def test_an_optimizer_lives_no_longer_for_having_been_scheduled():
    import weakref

    optimizer = _adam(1.0)
    dead = weakref.ref(optimizer)
    ScheduleLR(optimizer, _SCHEDULE, total_steps=_T)
    optimizer.add_param_group(_group(0.5))  # whose scheduler is gone
    assert _rates(optimizer)[1] == 0.5
    del optimizer
    assert dead() is None


@pytest.mark.filterwarnings("ignore:Seems like .optimizer.step")  # torch says so of every copy of a scheduler
def test_an_optimizer_is_pickled_and_copied_as_before():
    optimizer = _adam(1.0)
    scheduler = ScheduleLR(optimizer, _SCHEDULE, total_steps=_T)
    for other in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
        assert _rates(other) == _rates(optimizer)
    again = copy.deepcopy(scheduler)
    assert _train(again, again.optimizer).tolist() == _train(scheduler, optimizer).tolist()


def test_the_layer_decay_of_timm_is_part_of_a_groups_ratio():
    optimizer = torch.optim.AdamW([_group(0.1) | {"lr_scale": scale} for scale in (0.25, 1.0)])
    rates = _train(ScheduleLR(optimizer, _SCHEDULE, total_steps=_T), optimizer)
    np.testing.assert_allclose(rates, np.outer(_LRS, [0.25, 1]), rtol=1e-12)


def test_rates_set_by_hand_keep_their_ratios():
    muon, adam = _muon(0.02), _adam(3e-4, 1e-4)
    rates = GroupRates([muon, adam])
    for lr in (0.1, 0.05, 0.0):
        rates.set(lr)
        np.testing.assert_allclose(_rates(muon, adam), lr * np.array([1, 0.015, 0.005]), rtol=1e-12)


@pytest.mark.parametrize("optimizers", [[], [_adam(0.1)] * 2, [_adam(0.1), None], torch.nn.Linear(1, 1), "adam"])
def test_no_optimizer_the_same_twice_or_something_else_is_refused(optimizers: Any):
    with pytest.raises(InvalidValue, match="optimizers must be"):
        ScheduleLR(optimizers, _SCHEDULE, total_steps=_T)


def test_a_reference_without_any_rate_is_refused():
    with pytest.raises(InvalidValue, match=r"reference optimizer's lr must be .* at least one parameter group"):
        ScheduleLR([_adam(0.0), _adam(0.1)], _SCHEDULE, total_steps=_T)


def test_a_scheduler_of_ten_million_updates_takes_constant_memory():
    schedule = Schedule(peak_lr=0.1, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.1))
    tracemalloc.start()
    scheduler = ScheduleLR(_adam(1.0), schedule, total_steps=10_000_000)
    scheduler.load_state_dict({**scheduler.state_dict(), "updates_done": 9_999_990})
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 2**20
    assert scheduler.get_last_lr() == [schedule.lr(9_999_990, total_steps=10_000_000)]


def test_rates_of_a_long_run_are_those_of_the_schedule_bit_for_bit():
    schedule = Schedule(peak_lr=0.1, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.1))
    total, lrs = 20_000, schedule.lrs(20_000)
    optimizer = _adam(1.0)
    scheduler = ScheduleLR(optimizer, schedule, total_steps=total)
    for update, after in pairwise((0, 1, 2, 8_190, 8_191, 8_192, 8_193, 16_383, 16_384, total - 1)):
        assert _rates(optimizer) == [lrs[update]]
        scheduler.load_state_dict({**scheduler.state_dict(), "updates_done": after - 1})
        optimizer.step()
        scheduler.step()
