"""The logarithm of the expected improvement, also where the improvement itself would underflow."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

_TAIL: Final = -6.0
"""Below, log EI comes from its asymptote: computed directly, it would underflow."""


def log_ei(mean: Array) -> Array:
    """Log of the expected positive part of a normal variable with standard deviation 1 and these means.

    Args:
        mean: Any shape, finite.

    Returns:
        The same shape.
    """
    log_density = -0.5 * np.square(mean) - 0.5 * math.log(2.0 * math.pi)
    tail = mean < _TAIL
    # np.where computes both branches for every entry: replaced values keep the unused one free of log 0.
    near = np.where(tail, 0.0, mean)
    ei = near * ndtr(near) + np.exp(-0.5 * np.square(near)) / math.sqrt(2.0 * math.pi)
    # Far below 0 the expectation tends to density / mean^2.
    result: Array = np.where(tail, log_density - 2.0 * np.log(np.maximum(-mean, 1.0)), np.log(ei))
    return result
