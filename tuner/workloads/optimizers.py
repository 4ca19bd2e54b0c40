"""The optimizer options that the built-in workloads share."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from tuner.search.space import OptimizerKind
from tuner.training.workload import WorkloadOptions

ADAM_BETAS = (0.9, 0.99)
"""The second is below torch's 0.999, since these runs have only a few thousand updates."""


class OptimizerOptions(WorkloadOptions):
    """The optimizer, and its settings besides the learning rate."""

    optimizer: OptimizerKind = Field(
        default=OptimizerKind.SGD, description="sgd: SGD with Nesterov momentum. adam: AdamW."
    )
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="Momentum of sgd, a fraction; adam ignores it.")
    weight_decay: float = Field(
        default=1e-3,
        ge=0.0,
        le=1.0,
        description="Weight decay per update, times the learning rate; an L2 penalty for sgd, decoupled for adam.",
    )


def build_optimizer(model: nn.Module, *, options: OptimizerOptions) -> torch.optim.Optimizer:
    """The chosen optimizer over all parameters; biases and normalization (vectors) have no weight decay.

    All groups have the same learning rate; the schedule sets it before every update.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    if options.optimizer is OptimizerKind.ADAM:
        return torch.optim.AdamW(groups, lr=1.0, betas=ADAM_BETAS, fused=True)
    return torch.optim.SGD(groups, lr=1.0, momentum=options.momentum, nesterov=options.momentum > 0, fused=True)
