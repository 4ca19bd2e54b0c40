"""The incumbent of a search: the schedule that is used today, or the usual default in its place."""

from __future__ import annotations

import math
from typing import Final

from tuner.schedules import Cosine, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import StudyState
from tuner.search.sampler.grid import PEAK_RATIO, grid
from tuner.search.settings import SearchSettings

DEFAULT_WARMUP: Final = 0.05
"""Fraction of the run that the default's linear warm-up takes."""


def default_schedule(settings: SearchSettings) -> Schedule:
    """Linear warm-up and cosine to zero, at the peak of the grid that is nearest to the middle of the range."""
    peaks = settings.searched_space.peak_lr
    middle = math.sqrt(peaks.low * peaks.high)
    peak = min(grid(peaks, ratio=PEAK_RATIO), key=lambda point: abs(math.log(float(point) / middle)))
    return Schedule(peak_lr=float(peak), family=Cosine(), warmup=Warmup(shape="linear", fraction=DEFAULT_WARMUP))


def incumbent_of(state: StudyState) -> Configuration:
    """The incumbent, with the job's own values of the searched options."""
    schedule = state.settings.incumbent or default_schedule(state.settings)
    return Configuration(schedule=schedule, options=state.usual_options)
