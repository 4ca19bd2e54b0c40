"""What an LR range test has shown: the median loss over the rate, smoothed, and three readings. Pure.

| symbol | meaning | shape |
|---|---|---|
| ``x`` | logarithm of the rate, evenly spaced | ``[m]`` |
| ``raw`` | median loss over the seeds; infinite where half of them or more have diverged | ``[m]`` |
| ``smooth`` | Gaussian-weighted mean of ``raw`` over neighboring points | ``[m]`` |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Array = NDArray[np.float64]

_WIDTH: Final = 1.5
"""Standard deviation of the smoothing, in points."""
_RISEN: Final = 0.1
"""Share of the fall that the loss must have lost again before it counts as rising."""
_LOST: Final = 0.5
"""Share of the fall beyond whose loss a rate is not stable."""
_CLEAR: Final = 6.0
"""A fall counts from so many standard deviations of the smoothed loss."""
_MIN_POINTS: Final = 5
_MEDIAN_OF_NORMAL: Final = 0.6745
"""Median of the absolute value of a standard normal number."""


@dataclass(frozen=True, kw_only=True)
class SweepCurve:
    """The evaluations of one run of a range test."""

    seed: int
    points: tuple[tuple[int, float, float], ...]
    """Updates done, the rate of the last of them, and the loss: of the training where it is reported, else the
    metric's, lower being better. Ends where the run diverged."""
    running: bool = False
    """Whether the run goes on: updates that it lacks are to come, and not lost."""


class RangePoint(BaseModel):
    """A rate of a range test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(description="Updates done.")
    lr: float = Field(description="Learning rate of the last of them.")
    loss: float = Field(description="Median over the seeds, lower being better.")
    smoothed: float = Field(description="The median, smoothed over neighboring points.")


class RangeReadings(BaseModel):
    """Three rates that people read off the curve; one is absent where the curve does not show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steepest: float | None = Field(
        description="Where the loss falls fastest. A rate for a constant schedule, and a cautious peak for others."
    )
    before_rise: float | None = Field(
        description="A tenth of the rate at which the loss begins to rise: Smith's rule for the peak of a schedule."
    )
    last_stable: float | None = Field(
        description="The largest rate before half of the fall is lost, or the run diverges. An upper bound of peaks; a "
        "warm-up may move it a little."
    )


_NO_READINGS: Final = RangeReadings(steepest=None, before_rise=None, last_stable=None)


class RangeTest(BaseModel):
    """The result of an LR range test. It bounds the peaks of a search, and is no recommendation.

    Example:
        >>> from tuner import lr_range_test
        >>> test = lr_range_test("digits-mlp", steps=50, seeds=1, seed=0, device="cpu")
        >>> test.readings.steepest < test.readings.last_stable < test.high
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float = Field(description="The rate at the start.")
    high: float = Field(description="The rate at the end.")
    steps: int = Field(description="Updates over which the rate rises.")
    seeds: int = Field(description="Runs with a curve.")
    diverged: int = Field(description="Runs that diverged before the last rate.")
    points: tuple[RangePoint, ...] = Field(description="Up to where half of the runs had diverged.")
    readings: RangeReadings
    summary: str = Field(description="What the curve shows, in one or two sentences.")


def range_test(curves: Sequence[SweepCurve], *, low: float, high: float, steps: int) -> RangeTest:
    """Read the curves of the runs of a range test.

    Args:
        curves: Of one run for each seed.
        low: The rate at the start.
        high: The rate at the end.
        steps: Updates over which it rises.

    Example:
        A loss that falls from 2 to 1 around 1e-3 and rises steeply around 1e-1:

        >>> import math
        >>> from tuner.search.range_test.result import SweepCurve, range_test
        >>> def loss(lr):
        ...     return 1.0 + 1.0 / (1.0 + (lr / 1e-3) ** 2) + (lr / 0.1) ** 4
        >>> rates = [10 ** (-5 + 5 * (i + 1) / 50) for i in range(50)]
        >>> curve = SweepCurve(seed=0, points=tuple((2 * i + 2, lr, loss(lr)) for i, lr in enumerate(rates)))
        >>> test = range_test([curve], low=1e-5, high=1.0, steps=100)
        >>> [float(f"{x:.0e}") for x in (test.readings.steepest, test.readings.before_rise, test.readings.last_stable)]
        [0.001, 0.002, 0.08]
    """
    begun = [curve for curve in curves if curve.points]
    running = sum(curve.running for curve in curves)
    diverged = sum(not curve.running and curve.points[-1][0] < steps for curve in begun)
    at, rates, raw = _median(_in_common(begun))
    shown = int(np.argmax(~np.isfinite(raw))) if not np.all(np.isfinite(raw)) else len(raw)
    at, rates, raw = at[:shown], rates[:shown], raw[:shown]
    smooth = _smoothed(_clipped(raw))
    complete = shown > 0 and int(at[-1]) >= steps
    # An early part of the curve would be read wrongly: its last rate is not the last stable one.
    readings = _NO_READINGS if running else _readings(rates, raw, smooth, complete=complete)
    return RangeTest(
        low=low,
        high=high,
        steps=steps,
        seeds=len(begun),
        diverged=diverged,
        points=tuple(
            RangePoint(step=int(step), lr=float(lr), loss=float(loss), smoothed=float(even))
            for step, lr, loss, even in zip(at, rates, raw, smooth, strict=True)
        ),
        readings=readings,
        summary=_unfinished(running) if running else _summary(readings, high=high, points=shown, complete=complete),
    )


def _in_common(curves: Sequence[SweepCurve]) -> tuple[SweepCurve, ...]:
    """The curves up to the update that every run which goes on has reached."""
    reached = min((curve.points[-1][0] for curve in curves if curve.running), default=math.inf)
    return tuple(
        replace(curve, points=tuple(point for point in curve.points if point[0] <= reached)) for curve in curves
    )


def _median(curves: Sequence[SweepCurve]) -> tuple[NDArray[np.int64], Array, Array]:
    """Updates done ``[m]``, rates ``[m]``, and the median loss ``[m]``; a run that has diverged counts as infinite."""
    rate_at: dict[int, float] = {}
    losses = [{step: loss for step, _, loss in curve.points} for curve in curves]
    for curve in curves:
        rate_at.update((step, lr) for step, lr, _ in curve.points if step > 0)
    at = np.array(sorted(rate_at), dtype=np.int64)
    # A run is missing a point that others have only after it has diverged: all are evaluated after the same updates.
    table = np.array([[one.get(int(step), math.inf) for step in at] for one in losses]).reshape(len(curves), len(at))
    table = np.where(np.isfinite(table), table, np.inf)
    middle = np.sort(table, axis=0)[len(curves) // 2] if len(curves) else np.empty(0)
    if len(curves) and len(curves) % 2 == 0:
        middle = 0.5 * (middle + np.sort(table, axis=0)[len(curves) // 2 - 1])
    return at, np.array([rate_at[int(step)] for step in at]), middle


def _clipped(raw: Array) -> Array:
    """``[m]``, no loss further above the first one than the best is below it: an explosion would hide the rest."""
    return np.minimum(raw, 2.0 * raw[0] - raw.min()) if len(raw) else raw


def _smoothed(raw: Array) -> Array:
    """``[m]``, the Gaussian-weighted mean over neighbors; centered, so that no feature moves to larger rates."""
    place = np.arange(len(raw))
    weights = np.exp(-0.5 * np.square((place[:, None] - place[None, :]) / _WIDTH))
    smooth: Array = weights @ raw / weights.sum(axis=1) if len(raw) else raw
    return smooth


def _readings(rates: Array, raw: Array, smooth: Array, *, complete: bool) -> RangeReadings:
    if len(rates) < _MIN_POINTS:
        return _NO_READINGS
    # Noise of one smoothed point, from differences of neighbors: a trend hardly enters them.
    noise = (
        float(np.median(np.abs(np.diff(raw))))
        / (math.sqrt(2.0) * _MEDIAN_OF_NORMAL)
        / math.sqrt(2.0 * math.sqrt(math.pi) * _WIDTH)
    )
    best = int(np.argmin(smooth))
    start = float(np.max(smooth[: best + 1]))
    fall = start - float(smooth[best])
    if best == 0 or fall <= _CLEAR * noise:
        return _NO_READINGS
    slope = np.gradient(smooth, np.log(rates))
    steepest = float(rates[int(np.argmin(slope[: best + 1]))])
    lost = np.flatnonzero(smooth[best:] > smooth[best] + _LOST * fall)
    rises = bool(np.any(smooth[best:] > smooth[best] + _RISEN * fall)) or not complete
    if len(lost):
        last: float | None = float(rates[best + int(lost[0]) - 1])
    else:
        last = None if complete else float(rates[-1])
    return RangeReadings(steepest=steepest, before_rise=float(rates[best]) / 10.0 if rises else None, last_stable=last)


def _unfinished(running: int) -> str:
    runs = "One run has" if running == 1 else f"{running} runs have"
    return f"{runs} not ended: the readings come when all have."


def _summary(readings: RangeReadings, *, high: float, points: int, complete: bool) -> str:
    if points < _MIN_POINTS and complete:
        return (
            f"The training reported {points} evaluations, too few for a curve: take more steps, or let the code "
            "evaluate where run.evaluate_at says."
        )
    if points < _MIN_POINTS:
        return "Nearly all runs diverged at once: repeat the test from a lower rate."
    if readings.steepest is None:
        return "The loss does not fall clearly at any rate: repeat the test over more updates, or from a lower rate."
    if readings.last_stable is None:
        return (
            f"The loss falls fastest at {readings.steepest:.2g}, and no rate up to {high:.2g} is unstable: repeat the "
            "test with a higher last rate for an upper bound."
        )
    rule = f"Smith's rule gives {readings.before_rise:.2g}, and " if readings.before_rise is not None else ""
    return (
        f"The loss falls fastest at {readings.steepest:.2g}; {rule}peaks above {readings.last_stable:.2g} are likely "
        "to be unstable. These bound a search; they are no recommendation."
    )
