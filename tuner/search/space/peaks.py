"""Where the best peak learning rate usually lies, by the optimizer and the kind of training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from tuner.search.kinds import OptimizerKind, TrainingKind
from tuner.validation import choice

MIN_PEAK: Final = 1e-20
MAX_PEAK: Final = 1e20
"""Peaks beyond these bounds are refused: products of rates and of their logarithms would leave the range of floats."""


_PEAK_LR: Final[Mapping[OptimizerKind, Mapping[TrainingKind, tuple[float, float]]]] = {
    OptimizerKind.ADAM: {
        TrainingKind.SCRATCH: (1e-4, 3e-2),
        TrainingKind.PRETRAIN: (3e-5, 3e-3),
        TrainingKind.FINETUNE: (2e-6, 2e-4),
        TrainingKind.LORA: (2e-5, 2e-3),
    },
    OptimizerKind.SGD: {
        TrainingKind.SCRATCH: (1e-3, 1.0),
        TrainingKind.PRETRAIN: (1e-3, 1.0),
        TrainingKind.FINETUNE: (1e-4, 1e-1),
        TrainingKind.LORA: (1e-3, 1.0),
    },
}


def peak_range(
    optimizer: OptimizerKind | str,
    *,
    training: TrainingKind | str = TrainingKind.SCRATCH,
    bounds: tuple[float, float] | None = None,
    around: float | None = None,
) -> tuple[float, float]:
    """The range of peak learning rates to search by default.

    Args:
        optimizer: Its usual range is the default.
        training: The kind of training that the usual range is for.
        bounds: Lowest and highest rate to use in its place, both above 0.
        around: A rate that is known to work: the range is moved there, as wide as before on the log scale.

    Example:
        >>> from tuner import OptimizerKind
        >>> from tuner.search.space import peak_range
        >>> peak_range(OptimizerKind.ADAM, bounds=(1e-4, 1e-2), around=2e-5)
        (2e-06, 0.0002)
    """
    usual = _PEAK_LR[choice("optimizer", optimizer, of=OptimizerKind)]
    low, high = bounds or usual[choice("training", training, of=TrainingKind)]
    if around is None:
        return low, high
    around, half = min(max(around, MIN_PEAK), MAX_PEAK), math.sqrt(high / low)
    # Three digits are precise enough for a range, and read well.
    low, high = float(f"{around / half:.3g}"), float(f"{around * half:.3g}")
    return max(low, MIN_PEAK), min(high, MAX_PEAK)
