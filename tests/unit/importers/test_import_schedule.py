"""Schedules that scripts use today equal the libraries' own, update for update."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import SGD, lr_scheduler

from tests.unit.exports.drivers import timm_schedulers
from tests.unit.exports.libraries import needed
from tuner import import_schedule
from tuner.errors import InvalidValue
from tuner.importers import import_text
from tuner.schedules import ReduceOnPlateau, Schedule

STEPS, EPOCH = 120, 10


def optimizer(lr: float = 0.1) -> SGD:
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates_of(scheduler: Any, *, steps: int = STEPS, every: int = 1) -> list[float]:
    rates = []
    for update in range(steps):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        if (update + 1) % every == 0:
            scheduler.step()
    return rates


SCHEDULERS: dict[str, Any] = {
    "StepLR": lambda opt: lr_scheduler.StepLR(opt, 17, gamma=0.3),
    "MultiStepLR": lambda opt: lr_scheduler.MultiStepLR(opt, [30, 70, 70, 500], gamma=0.3),
    "ExponentialLR": lambda opt: lr_scheduler.ExponentialLR(opt, 0.97),
    "CosineAnnealingLR": lambda opt: lr_scheduler.CosineAnnealingLR(opt, STEPS, eta_min=0.01),
    "CosineAnnealingLR that rises again": lambda opt: lr_scheduler.CosineAnnealingLR(opt, STEPS // 3, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, 25, T_mult=2),
    "LinearLR": lambda opt: lr_scheduler.LinearLR(opt, 0.2, 1.0, 30),
    "LinearLR beyond the run": lambda opt: lr_scheduler.LinearLR(opt, 1.0, 0.1, 200),
    "ConstantLR": lambda opt: lr_scheduler.ConstantLR(opt, factor=0.5, total_iters=9),
    "PolynomialLR": lambda opt: lr_scheduler.PolynomialLR(opt, 90, power=2.0),
    "CyclicLR": lambda opt: lr_scheduler.CyclicLR(opt, 0.01, 0.1, 16, cycle_momentum=False, mode="triangular2"),
    "CyclicLR exp_range": lambda opt: lr_scheduler.CyclicLR(
        opt, 0.01, 0.1, 16, cycle_momentum=False, mode="exp_range", gamma=0.98
    ),
    "OneCycleLR": lambda opt: lr_scheduler.OneCycleLR(opt, 0.1, total_steps=STEPS, cycle_momentum=False),
    "OneCycleLR in three phases": lambda opt: lr_scheduler.OneCycleLR(
        opt, 0.1, total_steps=STEPS, cycle_momentum=False, three_phase=True, anneal_strategy="linear"
    ),
    "a warm-up, then a cosine": lambda opt: lr_scheduler.SequentialLR(
        opt,
        [lr_scheduler.LinearLR(opt, 0.1, total_iters=20), lr_scheduler.CosineAnnealingLR(opt, STEPS - 20)],
        [20],
    ),
    "a warm-up, then steps": lambda opt: lr_scheduler.SequentialLR(
        opt,
        [lr_scheduler.ConstantLR(opt, 0.1, total_iters=20), lr_scheduler.StepLR(opt, 30, gamma=0.2)],
        [20],
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning")
def test_a_scheduler_of_torch_is_read_exactly(name: str):
    read = import_schedule(SCHEDULERS[name](optimizer()), total_steps=STEPS)
    np.testing.assert_allclose(read.lrs(STEPS), rates_of(SCHEDULERS[name](optimizer())), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if "OneCycle" not in name])
def test_its_state_as_json_is_the_same_schedule(name: str):
    scheduler = SCHEDULERS[name](optimizer())
    state = json.dumps(scheduler.state_dict(), default=vars)
    assert import_text(state, total_steps=STEPS) == import_schedule(scheduler, total_steps=STEPS)


@pytest.mark.parametrize("name", ["StepLR", "MultiStepLR", "CosineAnnealingLR", "a warm-up, then steps"])
@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning")
def test_one_that_is_stepped_per_epoch_changes_at_the_ends_of_epochs_alone(name: str):
    steps = 60 * EPOCH + 3
    read = import_schedule(SCHEDULERS[name](optimizer()), total_steps=steps, steps_per_epoch=EPOCH, stepped_per="epoch")
    wanted = rates_of(SCHEDULERS[name](optimizer()), steps=steps, every=EPOCH)
    np.testing.assert_allclose(read.lrs(steps), wanted, rtol=1e-9)


def test_reduce_on_plateau_is_read_with_its_settings():
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer(), factor=0.3, patience=2, threshold=0.01, threshold_mode="abs", cooldown=1, min_lr=0.001, eps=1e-9
    )
    family = ReduceOnPlateau(factor=0.3, patience=2, threshold=0.01, threshold_mode="absolute", cooldown=1, eps=1e-9)
    read = import_schedule(scheduler, total_steps=STEPS)
    assert (read.family, read.peak_lr, read.floor) == (family, 0.1, pytest.approx(0.01))


ARGUMENTS: dict[str, dict[str, Any]] = {
    "linear": {},
    "cosine": {},
    "cosine_with_restarts": {"num_cycles": 3},
    "polynomial": {"power": 2.0, "lr_end": 1e-6},
    "constant_with_warmup": {},
    "cosine_with_min_lr": {"min_lr_rate": 0.1},
    "warmup_stable_decay": {"num_decay_steps": 40, "min_lr_ratio": 0.1, "decay_type": "1-sqrt"},
}


@pytest.mark.parametrize("warmup", [0, 12])
@pytest.mark.parametrize("kind", ARGUMENTS)
@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning")
def test_training_arguments_are_read_exactly(kind: str, warmup: int):
    from transformers import TrainingArguments
    from transformers.optimization import get_scheduler

    arguments = TrainingArguments(
        output_dir="unused",
        learning_rate=2e-5,
        lr_scheduler_type=kind,
        lr_scheduler_kwargs=ARGUMENTS[kind],
        warmup_steps=warmup,
        max_steps=STEPS,
        use_cpu=True,
        report_to=[],
    )
    theirs = get_scheduler(
        kind,
        optimizer(2e-5),
        num_warmup_steps=warmup,
        num_training_steps=STEPS,
        scheduler_specific_kwargs=ARGUMENTS[kind],
    )
    wanted = rates_of(theirs)
    for source in (arguments, arguments.to_dict()):
        np.testing.assert_allclose(import_schedule(source).lrs(STEPS), wanted, rtol=1e-9, atol=1e-14)
    read = import_text(arguments.to_json_string())
    np.testing.assert_allclose(read.lrs(STEPS), wanted, rtol=1e-9, atol=1e-14)


TIMM: dict[str, dict[str, Any]] = {
    "cosine": {"min_lr": 0.001},
    "poly": {"decay_rate": 2.0},
    "step": {"decay_epochs": 4, "decay_rate": 0.5},
    "multistep": {"decay_milestones": [4, 8], "decay_rate": 0.1},
}


@pytest.mark.parametrize("on_updates", [False, True])
@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("kind", TIMM)
def test_the_arguments_of_timm_are_read_exactly(kind: str, prefix: bool, on_updates: bool):
    needed("timm")
    timm_schedulers()
    from timm.scheduler.scheduler_factory import create_scheduler

    arguments = {
        "sched": kind,
        "lr": 0.1,
        "epochs": 10,
        "warmup_epochs": 2,
        "warmup_lr": 0.01,
        "warmup_prefix": prefix,
        "sched_on_updates": on_updates,
        **TIMM[kind],
    }
    opt = optimizer(0.1)
    scheduler, epochs = create_scheduler(Namespace(**arguments), opt, updates_per_epoch=EPOCH)
    wanted = []
    for update in range(epochs * EPOCH):
        wanted.append(opt.param_groups[0]["lr"])
        if on_updates:
            scheduler.step_update(update + 1)
        elif (update + 1) % EPOCH == 0:
            scheduler.step((update + 1) // EPOCH)
    lengths: dict[str, Any] = {"total_steps": epochs * EPOCH, "steps_per_epoch": EPOCH}
    if on_updates and not prefix and kind in ("cosine", "poly"):
        with pytest.raises(InvalidValue, match="a decay that begins within its warm-up"):
            import_schedule(Namespace(**arguments), **lengths)
        return
    read = import_schedule(Namespace(**arguments), **lengths)
    np.testing.assert_allclose(read.lrs(epochs * EPOCH), wanted, rtol=1e-9, atol=1e-12)


def test_an_axolotl_file_warms_up_as_axolotl_does_and_follows_the_trainer():
    text = "base_model: some/model\nlearning_rate: 2e-5\nlr_scheduler: cosine\nmicro_batch_size: 2\n{}"
    usual = import_text(text.format(""), total_steps=1000)
    trainer = {"learning_rate": 2e-5, "lr_scheduler_type": "cosine", "warmup_steps": 30}
    assert usual == import_schedule(trainer, total_steps=1000)
    floored = import_text(text.format("cosine_min_lr_ratio: 0.1\nwarmup_ratio: 0.1\n"), total_steps=1000)
    assert floored.lr(999, total_steps=1000) == pytest.approx(2e-6, rel=1e-3)
    assert floored.lr(100, total_steps=1000) == 2e-5


@pytest.mark.parametrize(
    ("source", "lengths", "message"),
    [
        ({"learning_rate": 1e-4, "lr_scheduler_type": "cosine"}, {}, "Give total_steps, or steps_per_epoch"),
        ({"lr_scheduler_type": "greedy"}, {"total_steps": 9}, "lr_scheduler_type must be one of linear, cosine"),
        ({"lr_scheduler_type": "inverse_sqrt", "warmup_steps": 5}, {"total_steps": 99}, "one update earlier"),
        ({"sched": "cosine", "lr": None}, {"total_steps": 9, "steps_per_epoch": 3}, "peak_lr must be given"),
        ({"sched": "cosine", "lr": 0.1}, {"total_steps": 9}, "steps_per_epoch must be given: timm counts epochs"),
        ({"sched": "cosine", "lr": 0.1, "lr_noise": [0.4]}, {"total_steps": 9, "steps_per_epoch": 3}, "lr_noise"),
        ({"base_model": "m", "lr_scheduler": "rex"}, {"total_steps": 9}, "axolotl's own rex"),
        ({"T_max": 50, "eta_min": 0.0, "base_lrs": [0.1], "last_epoch": 0}, {"total_steps": 30}, "within a cosine"),
        ({"optimizer": "adam"}, {"total_steps": 9}, "kind must be the fields of one of huggingface, torch, timm"),
    ],
)
def test_what_cannot_be_written_exactly_is_refused_with_the_reason(
    source: dict[str, Any], lengths: dict[str, Any], message: str
):
    with pytest.raises(InvalidValue, match=message):
        import_schedule(source, **lengths)


def test_a_state_that_lacks_its_peak_says_how_to_give_it():
    state = lr_scheduler.OneCycleLR(optimizer(), 0.1, total_steps=STEPS, cycle_momentum=False).state_dict()
    with pytest.raises(InvalidValue, match="Give the scheduler itself, or peak_lr"):
        import_schedule(state, total_steps=STEPS)


@given(
    kind=st.sampled_from(["linear", "cosine", "polynomial", "constant_with_warmup"]),
    warmup=st.integers(0, 40),
    steps=st.integers(41, 200),
)
def test_what_is_read_survives_json_and_stays_below_its_peak(kind: str, warmup: int, steps: int):
    arguments = {"learning_rate": 3e-4, "lr_scheduler_type": kind, "warmup_steps": warmup}
    read = import_schedule(arguments, total_steps=steps)
    assert Schedule.from_json(read.to_json()) == read
    assert read.lrs(steps).max() <= 3e-4 * (1 + 1e-12)
    assert read.lrs(steps)[0] == (0.0 if warmup else pytest.approx(3e-4))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1]\nb: [*a, *a]",
        "[" * 30_000,
        "x" * 70_000,
        "- 1",
        "learning_rate: many\nlr_scheduler_type: cosine",
        '{"T_max": 1e-9, "eta_min": 0, "base_lrs": [0.1], "last_epoch": 0}',
        '{"T_0": 0, "T_mult": 1, "base_lrs": [0.1], "last_epoch": 0, "eta_min": 0}',
        '{"_schedulers": [], "_milestones": [], "last_epoch": 0}',
        '{"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 1000000000}}',
    ],
)
def test_a_hostile_or_broken_text_is_refused(text: str):
    with pytest.raises(InvalidValue):
        import_text(text, total_steps=1_000_000)
