"""The rivals by name."""

from __future__ import annotations

from typing import Final

import optuna

from benchmarks.search.rivals.path import Rival
from benchmarks.search.rivals.pruners import asha, hyperband, optuna_search
from benchmarks.search.rivals.rules import (
    cosine_at_three_peaks,
    default_once,
    linear_at_three_peaks,
    linear_once,
    linear_then_shapes,
    random_search,
)

RIVALS: Final[dict[str, Rival]] = {
    "the default, once": default_once,
    "linear to zero, once": linear_once,
    "linear to zero, 3 peaks": linear_at_three_peaks,
    "cosine to zero, 3 peaks": cosine_at_three_peaks,
    "linear at all peaks, then shapes": linear_then_shapes,
    "random": random_search,
    "TPE": optuna_search(optuna.pruners.NopPruner),
    "TPE, median": optuna_search(optuna.pruners.MedianPruner),
    "TPE, Hyperband": optuna_search(hyperband),
    "ASHA": asha,
}
