"""The configurations that could be tried next, and the one that theory tries first.

Pure: randomness comes from a generator that the caller passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.schedules import Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.sampler.candidates import Grid
from tuner.search.sampler.features import Features
from tuner.search.sampler.grid import PEAK_RATIO, grid
from tuner.search.sampler.losses import Observation
from tuner.search.sampler.options import SearchedOptions
from tuner.search.settings import SearchSettings
from tuner.search.space import SearchSpace, Value

Array = NDArray[np.float64]

_SAMPLES: Final = 256
_ENUMERATED: Final = 20_000
"""Points of a grid that are looked through for one that was not tried: more than a study has trials."""
_LEADERS: Final = 4
"""Best configurations whose neighbors are candidates."""
_INITIAL_PEAKS: Final = (0.5, 0.75, 0.25, 0.1)
"""Positions in the log range of peaks at which a search starts."""
_INITIAL_SHAPE_LOSSES: Final = 3
"""So many losses are of one good shape: the peak matters most, and the search learns it first."""
_HOLD_BONUS: Final = 0.3
"""Preference for an initial shape that holds its peak: later schedules can share it as a prefix, which saves steps."""
_FIRST_HOLD_BONUS: Final = 0.1
"""The same for the very first schedule, which a small budget may recommend."""
_FIRST_PEAK_COST: Final = 1.0
"""Score of the very first schedule for each factor e between its peak and the incumbent's."""
_USUAL_WARMUP: Final = 0.03
_SCORE_TOLERANCE: Final = 0.01
"""Largest difference in score to the best initial shape at which another counts as equally good."""


class Tried(Protocol):
    """What the sampler reads of a study (`tuner.search.decision.observations.Observations`)."""

    settings: SearchSettings
    space: SearchSpace
    peaks: tuple[float, float]
    options: SearchedOptions
    tried: frozenset[Configuration]
    losses: list[Observation]

    usual_peak: float
    """Of the incumbent."""

    def named(self, configurations: Iterable[Configuration]) -> list[Configuration]:
        """The same trainings, the incumbent's under its own value."""
        ...

    def untried(self, configurations: Iterable[Configuration]) -> list[Configuration]:
        """The trainings that no trial of the study is, each once."""
        ...

    def p_stable(self, configurations: list[Configuration]) -> Array:
        """``[n]``, the probability that a run does not diverge."""
        ...


def candidates(
    observations: Tried, *, leaders: Sequence[Configuration], rng: np.random.Generator
) -> list[Configuration]:
    """Random points of the grid, and neighbors of the leaders.

    Args:
        observations: The study.
        leaders: Its configurations, the best first.
        rng: Source of randomness.

    Returns:
        Configurations that are no training of the study yet, each another training; none in an exhausted space.
    """
    space = observations.space
    points = Grid(space, options=observations.options)
    near = (neighbor for leader in leaders[:_LEADERS] for neighbor in points.neighbors(leader))
    found = dict.fromkeys((*points.sample(_SAMPLES, rng=rng), *near))
    if len(observations.losses) < _INITIAL_SHAPE_LOSSES:
        shapes = initial_shapes(list(found), observations=observations)
        found = dict.fromkeys(
            (*shapes, *(one for peak in grid(space.peak_lr, ratio=PEAK_RATIO) for one in _at_peak(shapes, peak)))
        )
    untried = observations.untried(observations.named(found))
    if not untried:  # a small space, whose grid is exhausted
        untried = observations.untried(observations.named(points.sample_off_grid(_SAMPLES, rng=rng)))
    if not untried:  # without ranges, or nearly so: what is left is rare among random points
        untried = observations.untried(observations.named(islice(points.all(), _ENUMERATED)))[:_SAMPLES]
    return untried


def initial(found: Sequence[Configuration], *, observations: Tried) -> Configuration:
    """The configuration to try while there are too few losses to fit the GP.

    The first has a good shape by theory and a peak near the incumbent's, which experience has found. The others have a
    good shape that later schedules can share, near one of the initial peaks.

    Args:
        found: At least one.
        observations: The study.
    """
    if not observations.tried:
        usual = _with_usual_options(found, observations=observations)
        rows = features(observations, usual)
        away = np.abs(rows.rate - math.log(observations.usual_peak))
        return usual[int(np.argmin(_shape_scores(rows, hold_bonus=_FIRST_HOLD_BONUS) + _FIRST_PEAK_COST * away))]
    shapes = initial_shapes(found, observations=observations)
    # A linear decay at both ends of the range is the scale on which peaks of other shapes are compared.
    ends = [
        Configuration(schedule=Schedule(peak_lr=peak, family=Linear()), options=observations.options.usual)
        for peak in observations.peaks
    ]
    rows = features(observations, [*shapes, *ends])
    low, high = rows.peak[-2:]
    target = low + (high - low) * _INITIAL_PEAKS[min(len(observations.tried), len(_INITIAL_PEAKS) - 1)]
    value = -np.abs(rows.peak[:-2] - target) + np.log(observations.p_stable(shapes))
    return shapes[int(np.argmax(value))]


def restricted(found: list[Configuration], *, observations: Tried) -> list[Configuration]:
    """The good shapes among these while there are few losses, then all."""
    if not found or len(observations.losses) >= _INITIAL_SHAPE_LOSSES:
        return found
    return initial_shapes(found, observations=observations)


def initial_shapes(found: Sequence[Configuration], *, observations: Tried) -> list[Configuration]:
    """The candidates to start with: shapes with a low convex bound whose prefix later schedules can share.

    Only those with the usual options, where there are any.
    """
    usual = _with_usual_options(found, observations=observations)
    score = _shape_scores(features(observations, usual), hold_bonus=_HOLD_BONUS)
    return [one for one, own in zip(usual, score, strict=True) if own <= score.min() + _SCORE_TOLERANCE]


def _with_usual_options(found: Sequence[Configuration], *, observations: Tried) -> list[Configuration]:
    return [one for one in found if one.options == observations.options.usual] or list(found)


def _shape_scores(rows: Features, *, hold_bonus: float) -> Array:
    """``[n]``, how bad a shape is by theory, less the bonus for holding its peak."""
    # The curve is relative to a peak of 1, and a held rate is exactly 1: no tolerance is needed.
    hold = np.mean(rows.curve == 1.0, axis=1)
    unusual = np.square(rows.warmup - math.log(_USUAL_WARMUP))
    scores: Array = 4.0 * rows.bound + 0.05 * unusual - hold_bonus * hold
    return scores


def shared_fraction(found: Sequence[Configuration], *, observations: Tried) -> Array:
    """``[n]``, fraction of each candidate's steps that earlier trials have trained already; below 1."""
    new, old = features(observations, found), features(observations, list(observations.tried))
    # Runs can share a prefix only if peak, warm-up and all options are equal; then up to where the curves differ.
    same_start = np.equal.outer(new.rate, old.rate) & np.equal.outer(new.warmup, old.warmup)
    same_start &= np.all(new.options[:, None, :] == old.options[None, :, :], axis=2)
    # [n, m, 16]: the product is 0 from the first difference on, so its mean is the share of the equal start.
    equal = np.cumprod(new.curve[:, None, :] == old.curve[None, :, :], axis=2).mean(axis=2)
    fraction: Array = np.max(np.where(same_start, equal, 0.0), axis=1)
    # The caller takes log(1 - fraction), which is infinite at 1.
    return np.minimum(fraction, 0.9)


def features(observations: Tried, configurations: Sequence[Configuration]) -> Features:
    """The features of configurations."""
    return Features.of(configurations, total_steps=observations.settings.total_steps, options=observations.options)


def _at_peak(configurations: Iterable[Configuration], peak: Value) -> list[Configuration]:
    return [replace(one, schedule=one.schedule.model_copy(update={"peak_lr": float(peak)})) for one in configurations]
