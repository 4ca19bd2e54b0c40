"""The curves that schedules are made of: each maps progress in [0, 1] to the share of the way done, from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from tuner.schedules.values import Array

Curve = Callable[[Array], Array]

EXPONENTIAL_RATE: Final = float(np.log(100.0))
"""Default rate of the exponential curve: were it not shifted to end at 0, it would end at 1 % of the start."""


def linear(x: Array) -> Array:
    """``x``."""
    return x


def cosine(x: Array) -> Array:
    """``(1 - cos(pi x)) / 2``: slow, fast, slow."""
    return 0.5 * (1.0 - np.cos(np.pi * x))


def one_minus_sqrt(x: Array) -> Array:
    """``sqrt(x)``: what is left is ``1 - sqrt(x)`` (Hägele et al., arXiv 2405.18392)."""
    return np.sqrt(x)


def rex(x: Array) -> Array:
    """``1 - (1 - x) / (1/2 + (1 - x) / 2)``, which is ``x / (2 - x)`` (Chen et al., arXiv 2107.04197)."""
    return x / (2.0 - x)


def polynomial(power: float) -> Curve:
    """``1 - (1 - x)^power``: what is left is ``(1 - x)^power``."""
    return lambda x: 1.0 - (1.0 - x) ** power


def exponential(rate: float = EXPONENTIAL_RATE) -> Curve:
    """``(1 - exp(-rate x)) / (1 - exp(-rate))``: an exponential, shifted and scaled to arrive.

    With ``rate = ln(a / b)`` the way from ``a`` to ``b`` is the geometric one, ``a (b / a)^x``. ``rate`` is not 0.
    """
    return lambda x: np.expm1(-rate * x) / np.expm1(-rate)


def between(start: float, end: float, share: Array) -> Array:
    """The value after ``share`` of the way from ``start`` to ``end``; exact at both ends."""
    return start * (1.0 - share) + end * share
