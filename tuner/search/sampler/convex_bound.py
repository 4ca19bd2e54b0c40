"""The convex bound of a schedule's shape, without training: how good the shape can be, and at which peak rate.

For the last iterate of stochastic subgradient descent with rates ``eta_0 .. eta_{T-1}``, gradients bounded by G and a
start at distance D of the optimum, the suboptimality is at most (Schaipp et al., arXiv 2501.18965, Theorem 3.1, after
Theorem 10 of Defazio et al., arXiv 2310.07831)::

    D^2 / (2 S_0) + G^2 Q_0 / (2 S_0) + 1/2 sum_{k < T-1} (eta_k / S_{k+1}) (G^2 Q_k / S_k)

with ``S_k = sum_{t >= k} eta_t`` and ``Q_k = sum_{t >= k} eta_t^2``. For ``eta = peak * shape`` it is ``a / peak + b
* peak``, least at ``peak = sqrt(a / b)``. D and G scale that peak and that bound by the same factor for all
shapes, so that ratios between shapes do not depend on them. docs/benchmarks.md compares the bound with recorded runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.errors import InvalidValue


@dataclass(frozen=True, kw_only=True)
class ShapeBound:
    """The bound of one shape, for D = G = 1."""

    best_peak: float
    """The peak rate at which the bound is least."""
    bound: float
    """The bound at that peak."""


def shape_bound(shape: ArrayLike) -> ShapeBound:
    """The convex bound of a shape, at its best peak rate.

    Args:
        shape: ``[T]``, the rate of each update as a fraction of the peak: finite, not negative, not all 0.

    Raises:
        InvalidValue: ``shape`` is empty, has a negative or not finite entry, or is 0 throughout.
    """
    rates: NDArray[np.float64] = np.asarray(shape, dtype=np.float64)
    if rates.ndim != 1 or not np.all(np.isfinite(rates)) or np.any(rates < 0) or not np.any(rates > 0):
        raise InvalidValue("shape", value=rates.shape, allowed="one row of finite fractions, none negative, not all 0")
    rates = rates[: int(np.flatnonzero(rates)[-1]) + 1]  # steps at rate 0 at the end change nothing, and S_k would be 0
    # S_k and Q_k for all k in one pass: the sum of a tail is a running sum of the reversed row.
    s = np.cumsum(rates[::-1])[::-1]
    q = np.cumsum(np.square(rates)[::-1])[::-1]
    # S_k grows with the peak and Q_k with its square, so the first term falls as 1 / peak and the others rise with it.
    a = 1.0 / (2.0 * s[0])
    b = q[0] / (2.0 * s[0]) + 0.5 * float(np.sum(rates[:-1] / s[1:] * q[:-1] / s[:-1]))
    return ShapeBound(best_peak=float(np.sqrt(a / b)), bound=float(2.0 * np.sqrt(a * b)))
