"""Which of the runs that a forecast would stop are trained to the end all the same, to measure what stopping loses."""

from __future__ import annotations

import hashlib
from typing import Final

_EVERY: Final = 10


def is_audited(*, trial: int, seed: int) -> bool:
    """Whether a run is trained to the end although its forecast would stop it: a random tenth of all runs.

    It depends on the run alone, so that every look at it decides alike.

    Args:
        trial: Number of the run's trial.
        seed: Of the run.
    """
    digest = hashlib.sha256(f"audit of trial {trial}, seed {seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % _EVERY == 0
