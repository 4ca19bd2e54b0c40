"""The stage tree: where runs whose learning rates begin alike part from each other. Pure.

Runs of one workload, with the same options and seed, are equal, update for update, as long as their learning rates are:
a stretch that several of them have at their beginning is trained once, and each goes on from there. Rates are compared
bit for bit, for the smallest difference is one in the weights.
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
    """How many updates two runs have in common, from the first on.

    Args:
        a: Learning rates, float64 ``[updates]``.
        b: Those of the other run; another length is allowed.

    Returns:
        In [0, the shorter length].
    """
    length = min(len(a), len(b))
    if length == 0 or _bits(a[:1]) != _bits(b[:1]):
        return 0  # what nearly all pairs come to, without a look at the rest
    differs = np.flatnonzero(_bits(a[:length]) != _bits(b[:length]))
    return int(differs[0]) if len(differs) else length


def branch_points(lrs: Array, *, others: Iterable[Array]) -> tuple[int, ...]:
    """After how many updates of a run its state is of use to another run.

    Args:
        lrs: The run's learning rates, float64 ``[updates]``.
        others: Those of the other runs.

    Returns:
        Ascending, each in [1, updates], without repetition. The run's own length is among them where another run
        begins with the whole of it, or is the same; a shorter run that this one begins with counts at its end.
    """
    return tuple(sorted({shared for other in others if (shared := shared_prefix(lrs, other)) > 0}))


def likely_branch_points(schedule: Schedule, *, total_steps: int) -> tuple[int, ...]:
    """After how many updates runs that are not known yet are likely to leave a run that holds its peak.

    The search chooses cooldowns among tenths of the run (`tuner.search.sampler.candidates`): whoever holds the same
    peak after the same warm-up leaves where one of them begins, or goes on where this run's own hold ends.

    Args:
        schedule: What the run trains.
        total_steps: Its updates, at least 1.

    Returns:
        Ascending, each in [1, total_steps), without repetition; empty for a schedule that does not hold its peak.
    """
    if not schedule.family.starts_at_peak:
        return ()
    holds = (
        _hold(schedule.model_copy(update={"family": Wsd(cooldown=tenths / 10)}), total_steps=total_steps)
        for tenths in range(1, 11)
    )
    own = _hold(schedule, total_steps=total_steps)
    if own <= schedule.warmup.length(total_steps) + 1:
        return ()
    return tuple(sorted({end for end in (*holds, own) if 0 < end <= own and end < total_steps}))


def _hold(schedule: Schedule, *, total_steps: int) -> int:
    """After how many updates a run leaves its peak for the first time, by bisection: its rates fall from there on."""
    low, high = schedule.warmup.length(total_steps), total_steps
    while low < high:
        middle = (low + high) // 2
        if schedule.lr(middle, total_steps=total_steps) == schedule.peak_lr:
            low = middle + 1
        else:
            high = middle
    return low


def tree_size(runs: Sequence[Array]) -> int:
    """Updates that runs take when each stretch that several have at their beginning is trained once.

    Args:
        runs: Learning rates of each, float64 ``[updates]``.

    Returns:
        At most the sum of their lengths. Equal runs count once.
    """
    # In an order in which those that begin alike stand together, each shares the most with its neighbor.
    ordered = sorted(runs, key=lambda lrs: lrs.tobytes())
    shared = sum(shared_prefix(a, b) for a, b in pairwise(ordered))
    return sum(map(len, runs)) - shared


def prefix_key(schedule: Schedule, *, total_steps: int, seed: int, options: OptionValues = ()) -> str:
    """What runs have in common that are likely to share their beginning: options, and equal warm-ups to an equal rate.

    A hint, cheap to compute however long the run, and no promise: runs with one key may part at once.

    Args:
        schedule: What the run trains.
        total_steps: Its updates, at least 1.
        seed: Its seed.
        options: Of its trial.
    """
    warmup = schedule.warmup.length(total_steps)
    rates = (schedule.peak_lr, *(schedule.lr(step, total_steps=total_steps) for step in (0, warmup)))
    common = struct.pack("<QQ3d", seed, warmup, *rates) + json.dumps(options).encode()
    return hashlib.sha256(common).hexdigest()[:_KEY_CHARACTERS]


def _bits(lrs: Array) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.ascontiguousarray(lrs).view(np.uint64)
