"""The seeds of a search's runs, derived from the search's own."""

from __future__ import annotations

import hashlib
from typing import Final

_SEEDS: Final = 2**31


def run_seed(search_seed: int, *, place: int) -> int:
    """The seed of a schedule's first run (``place`` 0), of its second (1), and so on.

    All schedules of a search use the same seeds in the same order, so that runs are compared on the same data and
    initial weights. The first is a hash of the search's seed: searches with neighboring seeds share none of theirs. The
    others follow it one by one, so that they are distinct, also modulo a small number.

    Args:
        search_seed: `SearchSettings.seed`.
        place: At least 0.

    Returns:
        In [0, 2^31).

    Example:
        >>> run_seed(0, place=1) - run_seed(0, place=0)
        1
    """
    digest = hashlib.sha256(f"schedule search {search_seed}".encode()).digest()
    return (int.from_bytes(digest[:4], "big") + place) % _SEEDS


def is_first(seed: int, *, search_seed: int) -> bool:
    """Whether a run on this seed is the first one of its schedule."""
    return seed == run_seed(search_seed, place=0)
