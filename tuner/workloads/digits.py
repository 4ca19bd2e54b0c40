"""Handwritten digits by an MLP and a CNN: 1,797 scans of 8 x 8 pixels, 10 classes (UCI, shipped by scikit-learn)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tuner.search.space import OptimizerKind
from tuner.training.data import ShuffledBatches, step_generator
from tuner.training.workload import Declaration, DeclaredWorkload, WorkloadOptions
from tuner.workloads.optimizers import OptimizerOptions, build_optimizer

CLASSES = 10
SIDE = 8  # pixels
VALIDATION_ROWS = 600
_SPLIT_SEED = 0  # part of the workloads' version: every job validates on the same scans


class DigitsOptions(OptimizerOptions):
    """Options of both digit models."""

    batch_size: int = Field(default=16, ge=1, le=1024, description="Scans per update.")
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0, description="Probability that an update drops a hidden unit.")
    shift: bool = Field(
        default=True, description="Whether training scans are moved at random by -1, 0 or 1 pixel along each axis."
    )


class DigitsMlpOptions(DigitsOptions):
    """Options of the MLP."""

    width: int = Field(default=64, ge=1, le=4096, description="Units of each of the two hidden layers.")


class DigitsCnnOptions(DigitsOptions):
    """Options of the CNN."""

    width: int = Field(default=8, ge=1, le=512, description="Channels of the first convolution; the second has twice.")


@dataclass(frozen=True, kw_only=True)
class DigitsData:
    """The split scans on one device. Pixels are scaled to mean 0 and variance 1 over the training part."""

    train: Tensor
    """Every shift of every training scan, float32 of shape ``(9 shifts, rows, 1, 8, 8)``; shift 4 moves nothing."""
    train_labels: Tensor
    validation: Tensor
    """float32 of shape ``(600, 1, 8, 8)``."""
    validation_labels: Tensor


@lru_cache(maxsize=4)
def digits_data(device: torch.device) -> DigitsData:
    """The scans on ``device``; the split is the same for every seed."""
    from sklearn.datasets import load_digits  # takes a second, which runners of other workloads need not wait for

    scans, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
    pixels = torch.tensor(scans[order], dtype=torch.float32).view(-1, 1, SIDE, SIDE)
    targets = torch.tensor(labels[order], dtype=torch.long)
    held_out, train = pixels[:VALIDATION_ROWS], pixels[VALIDATION_ROWS:]
    mean, deviation = train.mean(), train.std()
    blank = float(-mean / deviation)
    padded = functional.pad((train - mean) / deviation, (1, 1, 1, 1), value=blank)
    shifted = [padded[:, :, y : y + SIDE, x : x + SIDE] for y in range(3) for x in range(3)]
    return DigitsData(
        train=torch.stack(shifted).to(device),
        train_labels=targets[VALIDATION_ROWS:].to(device),
        validation=((held_out - mean) / deviation).to(device),
        validation_labels=targets[:VALIDATION_ROWS].to(device),
    )


def _declare(model: nn.Module, *, options: DigitsOptions, seed: int, device: torch.device) -> Declaration:
    data = digits_data(device)
    rows = ShuffledBatches(len(data.train_labels), batch_size=options.batch_size, seed=seed, device=device)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = rows.indices(step)
        if not options.shift:
            return data.train[4, chosen], data.train_labels[chosen]
        shifts = torch.randint(9, (len(chosen),), generator=step_generator(seed, "shift", step)).to(device)
        return data.train[shifts, chosen], data.train_labels[chosen]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        pixels, labels = batch
        return functional.cross_entropy(model(pixels), labels)

    def evaluate(model: nn.Module) -> float:
        return functional.cross_entropy(model(data.validation), data.validation_labels).item()

    model.to(device)
    return Declaration(
        model=model, optimizer=build_optimizer(model, options=options), batch=batch, loss=loss, evaluate=evaluate
    )


class DigitsMlp(DeclaredWorkload):
    """Two hidden layers."""

    name: ClassVar[str] = "digits-mlp"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = (
        "Handwritten digits (1,197 scans of 8 x 8 pixels), a two-layer MLP; cross entropy on 600 held-out scans."
    )
    default_steps: ClassVar[int] = 1500
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    optimizer_option: ClassVar[str | None] = "optimizer"
    peak_lr: ClassVar[Mapping[OptimizerKind, tuple[float, float]]] = {
        OptimizerKind.SGD: (0.0005, 0.15),
        OptimizerKind.ADAM: (0.0002, 0.06),
    }
    Options: ClassVar[type[WorkloadOptions]] = DigitsMlpOptions

    def declare(self, options: DigitsMlpOptions, *, seed: int, device: torch.device) -> Declaration:
        """Build the MLP."""
        model = nn.Sequential(
            nn.Flatten(),
            nn.Linear(SIDE * SIDE, options.width),
            nn.ReLU(),
            nn.Dropout(options.dropout),
            nn.Linear(options.width, options.width),
            nn.ReLU(),
            nn.Dropout(options.dropout),
            nn.Linear(options.width, CLASSES),
        )
        return _declare(model, options=options, seed=seed, device=device)


class DigitsCnn(DeclaredWorkload):
    """Two convolutions."""

    name: ClassVar[str] = "digits-cnn"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = (
        "Handwritten digits (1,197 scans of 8 x 8 pixels), a small CNN; cross entropy on 600 held-out scans."
    )
    default_steps: ClassVar[int] = 1000
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    optimizer_option: ClassVar[str | None] = "optimizer"
    peak_lr: ClassVar[Mapping[OptimizerKind, tuple[float, float]]] = {
        OptimizerKind.SGD: (0.0005, 0.15),
        OptimizerKind.ADAM: (0.0002, 0.06),
    }
    Options: ClassVar[type[WorkloadOptions]] = DigitsCnnOptions

    def declare(self, options: DigitsCnnOptions, *, seed: int, device: torch.device) -> Declaration:
        """Build the CNN."""
        model = nn.Sequential(
            nn.Conv2d(1, options.width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(options.width, 2 * options.width, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(options.dropout),
            nn.Linear(2 * options.width * (SIDE // 2) ** 2, CLASSES),
        )
        return _declare(model, options=options, seed=seed, device=device)
