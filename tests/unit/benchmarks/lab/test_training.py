"""Stacks of models: each is trained as if it were alone, and as torch trains it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.lab.data import breast_cancer
from benchmarks.lab.models import Parameters, mlp, mlp_init, stacked
from benchmarks.lab.optimizers import BETAS, AdamW, Sgd, clipped
from benchmarks.lab.training import train
from benchmarks.lab.workloads import WORKLOADS
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup
from tuner.training.data import step_generator

SCHEDULES = (
    Schedule(peak_lr=0.01, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.1)),
    Schedule(peak_lr=0.003, family=Linear()),
    Schedule(peak_lr=0.02, family=Constant()),
)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_model_of_a_stack_equals_the_same_model_trained_alone(name: str):
    workload = WORKLOADS[name]
    runs = [(schedule, seed) for schedule in SCHEDULES for seed in (0, 3)]
    together = train(workload, runs, steps=20)
    for run, (curve, loss) in zip(runs, together, strict=True):
        ((alone_curve, alone_loss),) = train(workload, [run], steps=20)
        assert [step for step, _ in curve] == [step for step, _ in alone_curve] == [10, 20]
        np.testing.assert_allclose([x for _, x in curve], [x for _, x in alone_curve], rtol=1e-3)
        assert loss == curve[-1][1]
        assert alone_loss == alone_curve[-1][1]


def test_stacks_that_are_smaller_than_the_runs_give_the_same():
    workload = WORKLOADS["noisy-classification-a"]
    runs = [(schedule, seed) for schedule in SCHEDULES for seed in range(3)]
    whole, parts = train(workload, runs, steps=20), train(replace(workload, stack=4), runs, steps=20)
    np.testing.assert_allclose([loss for _, loss in whole], [loss for _, loss in parts], rtol=1e-3)


def test_a_seed_decides_initialization_order_and_noise_and_the_schedule_none_of_them():
    workload = WORKLOADS["noisy-classification-a"]
    tiny = Schedule(peak_lr=1e-12, family=Constant())
    (first, again, other) = train(
        workload, [(tiny, 0), (tiny.model_copy(update={"peak_lr": 2e-12}), 0), (tiny, 1)], steps=10
    )
    assert first[1] == pytest.approx(again[1], rel=1e-6)
    assert first[1] != pytest.approx(other[1], rel=1e-3)


def test_a_run_that_diverges_has_no_loss_and_leaves_its_stack_alone():
    workload = WORKLOADS["half-diverging"]
    good, bad = (SCHEDULES[1], 0), (Schedule(peak_lr=1e6, family=Constant()), 0)
    mixed = train(workload, [bad, good], steps=20)
    assert mixed[0] == ((), None)
    assert mixed[1][1] == pytest.approx(train(workload, [good], steps=20)[0][1], rel=1e-3)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_optimizers_and_mlp_are_those_of_torch(kind: str):
    rows, lrs = breast_cancer(), torch.tensor([0.05, 0.01])
    parameters = stacked(lambda one: mlp_init(one, widths=(30, 8, 2)), seeds=(0, 1), derive=lambda s: step_generator(s))
    modules = [_module(parameters, index) for index in range(2)]
    x, labels = rows.train[:64], rows.train_targets[:64]
    optimizer: Sgd | AdamW = (
        Sgd(parameters, momentum=0.9, weight_decay=0.01) if kind == "sgd" else AdamW(parameters, weight_decay=0.01)
    )
    theirs = [_torch_optimizer(kind, module, lr=lr) for module, lr in zip(modules, lrs.tolist(), strict=True)]
    for _ in range(10):
        leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        outputs = mlp(leaves, x.expand(2, -1, -1))
        losses = torch.stack([nn.functional.cross_entropy(one, labels) for one in outputs])
        gradients = torch.autograd.grad(losses.sum(), list(leaves.values()))
        optimizer.step(dict(zip(leaves, gradients, strict=True)), lrs=lrs)
        for module, their in zip(modules, theirs, strict=True):
            their.zero_grad()
            nn.functional.cross_entropy(module(x), labels).backward()
            their.step()
    for index, module in enumerate(modules):
        torch.testing.assert_close(mlp(parameters, x.expand(2, -1, -1))[index], module(x), rtol=1e-4, atol=1e-5)


def test_each_model_is_clipped_by_its_own_norm_over_all_parameters():
    gradients = {"w": torch.tensor([[[3.0, 0.0]], [[0.3, 0.0]]]), "b": torch.tensor([[[4.0]], [[0.4]]])}
    after = clipped(gradients, norm=1.0)
    torch.testing.assert_close(after["w"], torch.tensor([[[0.6, 0.0]], [[0.3, 0.0]]]))
    torch.testing.assert_close(after["b"], torch.tensor([[[0.8]], [[0.4]]]))


def _module(parameters: Parameters, index: int) -> nn.Sequential:
    module = nn.Sequential(nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 2))
    with torch.no_grad():
        for layer, linear in enumerate(one for one in module if isinstance(one, nn.Linear)):
            linear.weight.copy_(parameters[f"w{layer}"][index].T)
            linear.bias.copy_(parameters[f"b{layer}"][index, 0])
    return module


def _torch_optimizer(kind: str, module: nn.Module, *, lr: float) -> torch.optim.Optimizer:
    parameters = list(module.parameters())
    groups = [
        {"params": [one for one in parameters if one.dim() > 1], "weight_decay": 0.01},
        {"params": [one for one in parameters if one.dim() == 1], "weight_decay": 0.0},
    ]
    if kind == "adam":
        return torch.optim.AdamW(groups, lr=lr, betas=BETAS)
    return torch.optim.SGD(groups, lr=lr, momentum=0.9)
