"""Which configurations are one training: equal rates at every update, and equal options. Pure.

Two values may describe one schedule: a cooldown over the whole run is a linear decay, and in a short run several
warm-ups take the same updates. Trained on one seed, they are the same run.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

import numpy as np

from tuner.schedules import Family, Schedule, Warmup
from tuner.search.configuration import Configuration, OptionValues

_SAMPLED: Final = 4096
"""Updates of a longer run that are compared: evenly spaced ones."""
_DECIMALS: Final = 9
"""Of a rate as a fraction of the peak: formulas of one curve differ in the last bits."""

TrainingKey = tuple[float, bytes, OptionValues]
"""Peak rate, digest of the rates, options."""


def training_key(configuration: Configuration, *, total_steps: int) -> TrainingKey:
    """What configurations that are one training have in common.

    Args:
        configuration: Any whose schedule fits into the run.
        total_steps: Updates of the run.

    Example:
        >>> from tuner.schedules import Linear, Schedule, Wsd
        >>> families = Linear(), Wsd(cooldown=1.0, shape="linear"), Wsd(cooldown=0.5, shape="linear")
        >>> every = [Configuration(schedule=Schedule(peak_lr=0.1, family=one)) for one in families]
        >>> len({training_key(one, total_steps=100) for one in every})
        2
    """
    schedule = configuration.schedule
    digest = _digest(schedule.family, schedule.warmup, schedule.floor, total_steps)
    return schedule.peak_lr, digest, configuration.options


@lru_cache(maxsize=16_384)
def _digest(family: Family, warmup: Warmup, floor: float, total_steps: int) -> bytes:
    """A digest of the rates at a peak of 1; cached, since most schedules of a search differ in their peak alone."""
    shape = Schedule(peak_lr=1.0, family=family, warmup=warmup, floor=floor)
    if total_steps <= _SAMPLED:
        rates = shape.lrs(total_steps)
    else:
        updates = np.linspace(0, total_steps - 1, _SAMPLED).astype(np.int64)
        rates = shape.lrs_at(updates, total_steps=total_steps)
    digest = hashlib.sha256(np.round(rates, _DECIMALS).tobytes())
    if shape.follows_loss:  # these are the rates of a run that always improves, as of a constant rate
        digest.update(family.model_dump_json().encode())
    return digest.digest()
