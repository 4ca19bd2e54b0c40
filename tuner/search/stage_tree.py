"""The stage tree: shared prefixes of runs, and the branch points at which runs leave them. Pure.

Runs of one workload with the same options and seed are equal, update for update, as long as their learning rates are
equal. A shared prefix is trained once, and each run continues from its end. Rates are compared bit for bit, since the
smallest difference changes the weights.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from tuner.schedules import Schedule, Wsd
from tuner.schedules.values import Array
from tuner.search.configuration import OptionValues

_KEY_CHARACTERS = 16


def shared_prefix(a: Array, b: Array) -> int:
    """The length in updates of the prefix that two runs share.

    Args:
        a: Learning rates, float64 ``[updates]``.
        b: Learning rates of the other run; another length is allowed.

    Returns:
        In [0, the shorter length].
    """
    length = min(len(a), len(b))
    if length == 0 or _bits(a[:1]) != _bits(b[:1]):
        return 0  # the case of nearly all pairs, without comparing the rest
    differs = np.flatnonzero(_bits(a[:length]) != _bits(b[:length]))
    return int(differs[0]) if len(differs) else length


def branch_points(lrs: Array, *, others: Iterable[Array]) -> tuple[int, ...]:
    """The updates of a run after which another run can continue from its state.

    Args:
        lrs: The run's learning rates, float64 ``[updates]``.
        others: Learning rates of the other runs.

    Returns:
        Ascending, each in [1, updates], without repetition. The run's own length is among them where it is a prefix of
        another run, or equal to it; a shorter run that is a prefix of this one counts at its end.
    """
    return tuple(sorted({shared for other in others if (shared := shared_prefix(lrs, other)) > 0}))


def likely_branch_points(schedule: Schedule, *, total_steps: int) -> tuple[int, ...]:
    """The updates after which future runs are likely to leave a run that holds its peak.

    The search chooses cooldowns among tenths of the run (`tuner.search.sampler.candidates`). A run that holds the same
    peak after the same warm-up leaves where one of these cooldowns starts, or continues where this run's hold ends.

    Args:
        schedule: What the run trains.
        total_steps: Its updates, at least 1.

    Returns:
        Ascending, each in [1, total_steps), without repetition; empty for a schedule that does not hold its peak, or
        that follows the loss.
    """
    if schedule.follows_loss or not schedule.family.starts_at_peak:
        return ()
    holds = (
        _hold_end(schedule.model_copy(update={"family": Wsd(cooldown=tenths / 10)}), total_steps=total_steps)
        for tenths in range(1, 11)
    )
    own = _hold_end(schedule, total_steps=total_steps)
    # Every family that gets here has at least one update at the peak: that alone is no hold.
    if own <= schedule.warmup.length(total_steps) + 1:
        return ()
    return tuple(sorted({end for end in (*holds, own) if 0 < end <= own and end < total_steps}))


def _hold_end(schedule: Schedule, *, total_steps: int) -> int:
    """The first update after the hold of the peak, by bisection: the rates fall from there on."""
    low, high = schedule.warmup.length(total_steps), total_steps
    while low < high:
        middle = (low + high) // 2
        if schedule.lr(middle, total_steps=total_steps) == schedule.peak_lr:
            low = middle + 1
        else:
            high = middle
    return low


def tree_size(runs: Sequence[Array]) -> int:
    """The updates that runs take when each shared prefix is trained once.

    Args:
        runs: Learning rates of each, float64 ``[updates]``.

    Returns:
        At most the sum of their lengths. Equal runs count once.
    """
    # Sorted by their bytes, every run stands beside the run with which it shares the longest prefix.
    ordered = sorted(runs, key=lambda lrs: lrs.tobytes())
    shared = sum(shared_prefix(a, b) for a, b in pairwise(ordered))
    return sum(map(len, runs)) - shared


def prefix_key(schedule: Schedule, *, total_steps: int, seed: int, options: OptionValues = ()) -> str | None:
    """A key that runs with a likely shared prefix have in common: seed, options, warm-up and peak rate.

    A hint that is cheap to compute at any length of the run: runs with one key may still differ from the first update.

    Args:
        schedule: What the run trains.
        total_steps: Its updates, at least 1.
        seed: Its seed.
        options: Searched options of its trial.

    Returns:
        ``None`` for a run whose rates follow its loss: no other one is known to have them.
    """
    if schedule.follows_loss:
        return None
    warmup = schedule.warmup.length(total_steps)
    rates = (schedule.peak_lr, *(schedule.lr(step, total_steps=total_steps) for step in (0, warmup)))
    common = struct.pack("<QQ3d", seed, warmup, *rates) + json.dumps(options).encode()
    return hashlib.sha256(common).hexdigest()[:_KEY_CHARACTERS]


def _bits(lrs: Array) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    # Comparing floats would take 0.0 and -0.0 as equal; as integers they differ.
    return np.ascontiguousarray(lrs).view(np.uint64)
