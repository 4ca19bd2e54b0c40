"""The curves of schedules: each maps progress in [0, 1] to the fraction that remains, from 1 down to 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from tuner.schedules.values import Array

Curve = Callable[[Array], Array]

EXPONENTIAL_RATE: Final = float(np.log(100.0))
"""Default rate of the exponential curve; without the shift to 0 it would end at 1/100."""


def linear(x: Array) -> Array:
    """``1 - x``."""
    return 1.0 - x


def cosine(x: Array) -> Array:
    """``(1 + cos(pi x)) / 2``: slow, fast, slow."""
    return 0.5 + 0.5 * np.cos(np.pi * x)


def one_minus_sqrt(x: Array) -> Array:
    """``1 - sqrt(x)`` (Hägele et al., arXiv 2405.18392)."""
    return 1.0 - np.sqrt(x)


def rex(x: Array) -> Array:
    """``(1 - x) / (1/2 + (1 - x) / 2)`` (Chen et al., arXiv 2107.04197)."""
    return (1.0 - x) / (1.0 - 0.5 * x)


def polynomial(power: float) -> Curve:
    """``(1 - x)^power``, for a power above 0."""
    return lambda x: (1.0 - x) ** power


def exponential(rate: float = EXPONENTIAL_RATE) -> Curve:
    """``(exp(-rate x) - exp(-rate)) / (1 - exp(-rate))``, for a rate above 0: shifted to end at 0.

    With ``rate = ln(a / b)`` the interpolation from ``a`` to ``b`` is geometric, ``a (b / a)^x``.
    """
    return lambda x: np.expm1(rate * (1.0 - x)) / np.expm1(rate)


def interpolate(start: float, end: float, remaining: Array) -> Array:
    """The values from ``start`` to ``end`` where the fraction ``remaining`` is left; exact at both ends."""
    return start * remaining + end * (1.0 - remaining)
