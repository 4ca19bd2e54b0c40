"""A declared training sets the rates of all groups of all its optimizers, and its snapshots hold all of them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tuner.errors import InvalidValue
from tuner.training.checks.recording import recorded_optimizers
from tuner.training.declared import Declaration, DeclaredTraining

CPU = torch.device("cpu")
LRS = np.linspace(0.2, 0.01, 12)


def built(*, muon_lr: float = 0.02) -> tuple[Declaration, DeclaredTraining]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    x = torch.randn(8, 3)
    muon = torch.optim.Muon([model.weight], lr=muon_lr)
    adam = torch.optim.AdamW([model.bias], lr=3e-4)
    parts = Declaration(
        model=model,
        optimizer=[muon, adam],
        batch=lambda step: x + step,
        loss=lambda model, batch: model(batch).pow(2).mean(),
        evaluate=lambda model: model(x).pow(2).mean().item(),
    )
    return parts, DeclaredTraining(parts, device=CPU)


def test_adamw_beside_muon_steps_at_every_update_and_keeps_its_ratio():
    _, training = built()
    with recorded_optimizers() as record:
        for step, lr in enumerate(LRS):
            training.train_step(step, float(lr))
    np.testing.assert_allclose(np.array(record.lrs)[:, :, 0], np.outer([1, 0.015], LRS), rtol=1e-12)


def test_a_snapshot_holds_the_state_of_every_optimizer():
    parts, training = built()
    for step, lr in enumerate(LRS[:5]):
        training.train_step(step, float(lr))
    saved = copy.deepcopy(training.state_dict())
    again_parts, again = built()
    again.load_state_dict(saved)
    for step, lr in enumerate(LRS[5:], start=5):
        training.train_step(step, float(lr))
        again.train_step(step, float(lr))
    for one, other in zip(parts.model.parameters(), again_parts.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_groups_that_the_training_adds_follow_at_their_ratio():
    parts, training = built()
    training.train_step(0, 0.1)
    assert not isinstance(parts.optimizer, torch.optim.Optimizer)
    parts.optimizer[1].add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 1e-4})
    training.train_step(1, 0.2)
    assert [group["lr"] for group in parts.optimizer[1].param_groups] == pytest.approx([0.003, 0.001])


def test_a_reference_without_a_rate_is_refused():
    with pytest.raises(InvalidValue, match="at least one parameter group"):
        built(muon_lr=0.0)
