"""The logarithm of the expected improvement, also where the improvement itself would underflow."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

Array = NDArray[np.float64]

_NEAR: Final = -1.0
"""Down to here EI is computed directly; below, its factors would underflow."""
_FAR: Final = -1e5
"""Below, the digits of the exact form cancel, and its asymptote has more of them."""


def log_ei(mean: Array) -> Array:
    """Log of the expected positive part of a normal variable with standard deviation 1 and these means.

    Exact over the whole range, as in Ament et al., Unexpected Improvements to Expected Improvement, NeurIPS 2023.

    Args:
        mean: Any shape, finite.

    Returns:
        The same shape.
    """
    # np.where computes all branches for every entry: replaced values keep the unused ones free of log 0 and overflow.
    near = np.maximum(mean, _NEAR)
    direct = np.log(near * ndtr(near) + np.exp(-0.5 * np.square(near)) / math.sqrt(2.0 * math.pi))
    # EI = density (1 + mean Phi(mean) / density), and the quotient is a scaled error function, which stays finite.
    tail = np.clip(mean, _FAR, _NEAR)
    share = np.log1p(math.sqrt(0.5 * math.pi) * tail * erfcx(-tail / math.sqrt(2.0)))
    # Far below 0 that share of the density tends to 1 / mean^2.
    share = np.where(mean < _FAR, -2.0 * np.log(np.maximum(-mean, 1.0)), share)
    log_density = -0.5 * np.square(mean) - 0.5 * math.log(2.0 * math.pi)
    result: Array = np.where(mean >= _NEAR, direct, log_density + share)
    return result
