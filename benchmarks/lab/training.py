"""Trains many runs of one workload at once: all schedules and seeds of a table in one stack of models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.lab.models import Parameters
from benchmarks.lab.optimizers import AdamW, Optimizer, Sgd, clipped
from benchmarks.lab.table import Curve
from tuner.metric import DEFAULT_METRIC
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration
from tuner.training.evaluation import divergence_limit
from tuner.training.evaluation_steps import evaluation_steps

Outcome = tuple[Curve, float | None]
"""Curve and final loss of a run; the loss is ``None`` when it diverged."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """A stack of models with their data."""

    parameters: Parameters
    losses: Callable[[Parameters, int], Tensor]
    """``[m]``: the training losses at an update, each on its model's own batch."""
    validate: Callable[[Parameters], Tensor]
    """``[m]``: the validation losses, on data that all models share."""


@dataclass(frozen=True, kw_only=True)
class LabWorkload:
    """A workload of the laboratory. The seed of a run decides initialization, order of the data, and noise."""

    name: str
    total_steps: int
    """The horizon."""
    optimizer: Literal["sgd", "adam"]
    peaks: tuple[float, float]
    """Range of the peak rates that are worth a try."""
    start: Callable[[Sequence[int], int], Models] = field(repr=False)
    """Models with these seeds, and data for so many updates."""
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float | None = None
    version: int = 1
    """Raised when the same run has another result than before: cached losses are then not used."""
    stack: int = 512
    """Models that are trained at once: fewer cost more calls, more do not fit into the processor's cache."""


def train(workload: LabWorkload, runs: Sequence[tuple[Schedule, int]], *, steps: int) -> list[Outcome]:
    """Train runs of one length, in stacks.

    Args:
        workload: What to train.
        runs: Schedule (at this length) and seed of each.
        steps: Updates of each.
    """
    outcomes: list[Outcome] = []
    for first in range(0, len(runs), workload.stack):
        outcomes += _train_stack(workload, runs[first : first + workload.stack], steps=steps)
    return outcomes


def train_configurations(
    workload: LabWorkload, runs: Sequence[tuple[Configuration, int]], *, steps: int
) -> list[Outcome]:
    """The same for configurations at the workload's horizon, compressed to ``steps`` where that is another length."""
    at_length = [
        (one.schedule if steps == workload.total_steps else compressed(workload, one.schedule, steps=steps), seed)
        for one, seed in runs
    ]
    return train(workload, at_length, steps=steps)


def compressed(workload: LabWorkload, schedule: Schedule, *, steps: int) -> Schedule:
    """A schedule of the workload's horizon in a run of another length."""
    return schedule.compressed(steps, from_steps=workload.total_steps)


def _train_stack(workload: LabWorkload, runs: Sequence[tuple[Schedule, int]], *, steps: int) -> list[Outcome]:
    models = workload.start([seed for _, seed in runs], steps)
    parameters = {name: value.requires_grad_() for name, value in models.parameters.items()}
    optimizer = _optimizer(workload, parameters)
    lrs = torch.tensor(np.stack([schedule.lrs(steps) for schedule, _ in runs]), dtype=torch.float32)  # [m, steps]
    record = _Record(_validated(models, parameters))
    evaluations = frozenset(evaluation_steps(steps))
    for step in range(steps):
        losses = models.losses(parameters, step)
        record.stop(~torch.isfinite(losses.detach()))
        gradients = dict(zip(parameters, torch.autograd.grad(losses.sum(), list(parameters.values())), strict=True))
        if workload.clip_norm is not None:
            gradients = clipped(gradients, norm=workload.clip_norm)
        optimizer.step(gradients, lrs=lrs[:, step])
        if step + 1 in evaluations:
            record.add(step + 1, _validated(models, parameters))
            if not record.alive.any():
                break
    return record.outcomes()


@torch.no_grad()
def _validated(models: Models, parameters: Parameters) -> Tensor:
    return models.validate(parameters)


def _optimizer(workload: LabWorkload, parameters: Parameters) -> Optimizer:
    if workload.optimizer == "adam":
        return AdamW(parameters, weight_decay=workload.weight_decay)
    return Sgd(parameters, momentum=workload.momentum, weight_decay=workload.weight_decay)


class _Record:
    """The curves so far. A model that diverged is trained on, since it cannot leave the stack, and ignored.

    Args:
        start: ``[m]``, validation losses of the untrained models.
    """

    def __init__(self, start: Tensor) -> None:
        limits = [divergence_limit(loss, metric=DEFAULT_METRIC) for loss in start.tolist()]
        self._limits = torch.tensor(limits, dtype=start.dtype)
        self.alive = torch.ones(len(start), dtype=torch.bool)
        self._curves: list[list[tuple[int, float]]] = [[] for _ in start]

    def stop(self, diverged: Tensor) -> None:
        self.alive &= ~diverged

    def add(self, step: int, losses: Tensor) -> None:
        self.alive &= losses <= self._limits  # false for what is not a number, too
        for curve, alive, loss in zip(self._curves, self.alive.tolist(), losses.tolist(), strict=True):
            if alive:
                curve.append((step, loss))

    def outcomes(self) -> list[Outcome]:
        return [
            (tuple(curve), curve[-1][1] if alive and math.isfinite(curve[-1][1]) else None)
            for curve, alive in zip(self._curves, self.alive.tolist(), strict=True)
        ]
