"""The laboratory's data: real, small, and bundled with packages that are installed anyway. Nothing is downloaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_SPLIT_SEED = 0  # part of the tables: every run validates on the same rows
_WHITE = 16.0


@dataclass(frozen=True, kw_only=True)
class Data:
    """Features ``[rows, features]``, scaled over the training part, and labels (int64) or targets (float32)."""

    train: Tensor
    train_targets: Tensor
    validation: Tensor
    validation_targets: Tensor


def split(features: Tensor, targets: Tensor, *, train: int, validation: int) -> Data:
    """Training and validation rows, drawn at random; features, and real targets, are standardized."""
    order = torch.from_numpy(np.random.default_rng(_SPLIT_SEED).permutation(len(features)))
    rows, held_out = order[validation : validation + train], order[:validation]
    mean, std = features[rows].mean(0), features[rows].std(0) + 1e-8
    if targets.is_floating_point():
        targets = (targets - targets[rows].mean()) / targets[rows].std()
    scaled = ((features - mean) / std).float()
    return Data(
        train=scaled[rows],
        train_targets=targets[rows],
        validation=scaled[held_out],
        validation_targets=targets[held_out],
    )


@lru_cache(maxsize=1)
def breast_cancer() -> Data:
    """Diagnoses from 30 features of cell nuclei (Wisconsin, UCI; scikit-learn bundles it)."""
    from sklearn.datasets import load_breast_cancer

    features, labels = load_breast_cancer(return_X_y=True)
    return split(torch.tensor(features), torch.tensor(labels), train=300, validation=269)


@lru_cache(maxsize=1)
def diabetes() -> Data:
    """Progression of diabetes from 10 features (Efron et al. 2004; scikit-learn bundles it)."""
    from sklearn.datasets import load_diabetes

    features, targets = load_diabetes(return_X_y=True)
    return split(torch.tensor(features), torch.tensor(targets, dtype=torch.float32), train=292, validation=150)


@lru_cache(maxsize=1)
def digits() -> Data:
    """Scans of handwritten digits, 64 pixels (UCI; scikit-learn bundles them)."""
    from sklearn.datasets import load_digits

    features, labels = load_digits(return_X_y=True)
    return split(torch.tensor(features), torch.tensor(labels), train=1197, validation=600)


@lru_cache(maxsize=1)
def raw_digits() -> Data:
    """The same scans as black ink on white paper, in raw gray values: not standardized, as beginners train on them."""
    from sklearn.datasets import load_digits

    features, labels = load_digits(return_X_y=True)
    order = torch.from_numpy(np.random.default_rng(_SPLIT_SEED).permutation(len(features)))
    gray, targets = torch.tensor(_WHITE - features, dtype=torch.float32)[order], torch.tensor(labels)[order]
    return Data(train=gray[600:], train_targets=targets[600:], validation=gray[:600], validation_targets=targets[:600])


@lru_cache(maxsize=1)
def coasts() -> Data:
    """Low, middle or high third of the earth's surface at 600 places of the coarse map, from their coordinates."""
    coordinates, elevation = world_map()
    low, high = torch.quantile(elevation, torch.tensor([1 / 3, 2 / 3])).tolist()
    labels = (elevation > low).long() + (elevation > high).long()
    return split(waves(coordinates, octaves=3), labels, train=600, validation=400)


@lru_cache(maxsize=1)
def mountains() -> Data:
    """Elevation at 400 places near Jacksboro, from their coordinates."""
    coordinates, elevation = jacksboro()
    return split(waves(coordinates, octaves=4), elevation, train=400, validation=400)


@lru_cache(maxsize=1)
def relief() -> Data:
    """Elevation at 4,000 places of the coarse map of the earth, from their coordinates."""
    coordinates, elevation = world_map()
    return split(waves(coordinates, octaves=3), elevation, train=4000, validation=400)


@lru_cache(maxsize=1)
def world_map() -> tuple[Tensor, Tensor]:
    """Coordinates ``[10920, 2]`` in [-1, 1] and elevations in meters of the earth's surface, seas included.

    It is a coarse grid of NOAA's ETOPO (public domain) that matplotlib bundles.
    """
    from matplotlib.cbook import get_sample_data

    with np.load(get_sample_data("topobathy.npz", asfileobj=False)) as table:
        elevation = torch.tensor(table["topo"], dtype=torch.float32)
    return _grid(elevation)


@lru_cache(maxsize=1)
def jacksboro() -> tuple[Tensor, Tensor]:
    """Coordinates ``[138632, 2]`` and elevations near Jacksboro, Tennessee (USGS, public domain; matplotlib's)."""
    from matplotlib.cbook import get_sample_data

    with np.load(get_sample_data("jacksboro_fault_dem.npz", asfileobj=False)) as table:
        elevation = torch.tensor(table["elevation"].astype(np.float32))
    return _grid(elevation)


def waves(coordinates: Tensor, *, octaves: int) -> Tensor:
    """Coordinates ``[rows, 2]``, and their sines and cosines at so many wavelengths: ``[rows, 2 + 4 octaves]``."""
    scaled = [coordinates * (math.pi * 2**octave) for octave in range(octaves)]
    return torch.cat([coordinates, *map(torch.sin, scaled), *map(torch.cos, scaled)], dim=1)


def _grid(elevation: Tensor) -> tuple[Tensor, Tensor]:
    height, width = elevation.shape
    axes = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return torch.stack(axes, dim=-1).view(-1, 2), elevation.flatten()
