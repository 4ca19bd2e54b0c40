"""Regression on a table: the elevation of 138,632 places near Jacksboro, Tennessee, from their coordinates.

The table is an elevation model of the US Geological Survey (public domain) that matplotlib ships for its examples.
"""

from __future__ import annotations

import math
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
from tuner.training.data import ShuffledBatches
from tuner.training.workload import Declaration, DeclaredWorkload, WorkloadOptions
from tuner.workloads.optimizers import OptimizerOptions, build_optimizer

OCTAVES = 4
FEATURES = 2 + 4 * OCTAVES
VALIDATION_ROWS = 4096
_SPLIT_SEED = 0  # part of the workload's version: every job validates on the same places


class TerrainOptions(OptimizerOptions):
    """Options of the regression."""

    batch_size: int = Field(default=64, ge=1, le=65536, description="Places per update.")
    width: int = Field(default=64, ge=1, le=4096, description="Units of each of the two hidden layers.")


@dataclass(frozen=True, kw_only=True)
class TerrainData:
    """The split table on one device."""

    train: Tensor
    """float32 of shape ``(rows, FEATURES)``."""
    train_elevation: Tensor
    """float32 of shape ``(rows,)``. Mean 0 and variance 1 over the training part; the held-out part is scaled alike."""
    validation: Tensor
    validation_elevation: Tensor


def _features(coordinates: Tensor) -> Tensor:
    """The coordinates, and sines and cosines of them at `OCTAVES` wavelengths, each half the one before.

    Args:
        coordinates: float32 of shape ``(rows, 2)``, each in [-1, 1].

    Returns:
        float32 of shape ``(rows, FEATURES)``.
    """
    waves = [coordinates * (math.pi * 2**octave) for octave in range(OCTAVES)]
    return torch.cat([coordinates, *map(torch.sin, waves), *map(torch.cos, waves)], dim=1)


@lru_cache(maxsize=4)
def terrain_data(device: torch.device) -> TerrainData:
    """The table on ``device``; the split is the same for every seed."""
    from matplotlib.cbook import get_sample_data  # runners of other workloads need not wait for matplotlib

    with np.load(get_sample_data("jacksboro_fault_dem.npz", asfileobj=False)) as table:
        elevation = table["elevation"].astype(np.float32)  # meters; (344 latitudes, 403 longitudes)
    height, width = elevation.shape
    grid = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    order = torch.from_numpy(np.random.default_rng(_SPLIT_SEED).permutation(elevation.size))
    features = _features(torch.stack(grid, dim=-1).view(-1, 2))[order]
    target = torch.from_numpy(elevation).flatten()[order]
    train = target[VALIDATION_ROWS:]
    target = (target - train.mean()) / train.std()
    return TerrainData(
        train=features[VALIDATION_ROWS:].to(device),
        train_elevation=target[VALIDATION_ROWS:].to(device),
        validation=features[:VALIDATION_ROWS].to(device),
        validation_elevation=target[:VALIDATION_ROWS].to(device),
    )


class TerrainMlp(DeclaredWorkload):
    """Two hidden layers."""

    name: ClassVar[str] = "terrain-mlp"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = (
        "Tabular regression (134,536 places, elevation from coordinates), a two-layer MLP; "
        "mean squared error on 4,096 held-out places, in units of the elevation's variance."
    )
    default_steps: ClassVar[int] = 2000
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    optimizer_option: ClassVar[str | None] = "optimizer"
    peak_lr: ClassVar[Mapping[OptimizerKind, tuple[float, float]]] = {
        OptimizerKind.SGD: (0.002, 0.6),
        OptimizerKind.ADAM: (0.0003, 0.1),
    }
    Options: ClassVar[type[WorkloadOptions]] = TerrainOptions

    def declare(self, options: TerrainOptions, *, seed: int, device: torch.device) -> Declaration:
        """Build the MLP."""
        data = terrain_data(device)
        rows = ShuffledBatches(len(data.train), batch_size=options.batch_size, seed=seed, device=device)
        model = nn.Sequential(
            nn.Linear(FEATURES, options.width),
            nn.GELU(),
            nn.Linear(options.width, options.width),
            nn.GELU(),
            nn.Linear(options.width, 1),
        ).to(device)

        def batch(step: int) -> tuple[Tensor, Tensor]:
            chosen = rows.indices(step)
            return data.train[chosen], data.train_elevation[chosen]

        def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
            features, elevation = batch
            return functional.mse_loss(model(features).squeeze(1), elevation)

        def evaluate(model: nn.Module) -> float:
            return functional.mse_loss(model(data.validation).squeeze(1), data.validation_elevation).item()

        return Declaration(
            model=model, optimizer=build_optimizer(model, options=options), batch=batch, loss=loss, evaluate=evaluate
        )
