"""How many times the steps a schedule would need for the loss of another."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tuner.errors import InvalidValue
from tuner.search.configuration import Configuration
from tuner.search.pruning.forecast import MIN_POINTS, Curve
from tuner.search.worth.scaling_law import Evaluations, Rates, ScalingLaws, fit

Array = NDArray[np.float64]

MAX_FACTOR: Final = 10.0
"""Factors are reported from 1 / 10 to 10: beyond, no curve supports the extrapolation."""
_SKIPPED: Final = 0.1
"""Share of a run at its start that the law need not explain."""
_FAR: Final = 0.25
"""Runs that end further above the best than so much of the fall from the first evaluations are another regime: a rate
that is too high follows no law of the others."""
_MIN_EXPLAINED: Final = 0.6
"""Share of the losses' variance that the law explains at least, or steps cannot be compared."""
_SCALE_STD: Final = 0.1
"""Prior standard deviation of the logarithm of (gain by more steps / the law's), where the law fits exactly."""
_MISFIT_SHARE: Final = 1.0
"""What it grows by with the misfit, in units of the gain by twice the steps."""
_MAX_SCALE_STD: Final = 1.0
"""And the most of it. These were chosen so that the intervals cover on the recorded LLaMA runs, noisy-*-a and
digits-image (docs/benchmarks.md)."""
_SCHEDULE_STD: Final = 0.3
"""How much that ratio differs between schedules."""
_STRETCHES: Final = np.exp(np.linspace(-math.log(MAX_FACTOR), math.log(MAX_FACTOR), 41))
"""``[41]``, symmetric."""
_MIDDLE: Final = 20
"""Place of the stretch of 1."""
_DOUBLED: Final = 26
"""Place of the stretch of 2, to the grid's spacing."""
_DEVIATIONS: Final = ndtri(np.arange(0.5, 15.0) / 15.0)
"""``[15]``, equally likely values of the normal distribution."""


@dataclass(frozen=True, kw_only=True)
class Normal:
    """An expected loss and its uncertainty."""

    mean: float
    std: float


@dataclass(frozen=True, kw_only=True)
class StepsFactor:
    """How many times the horizon's steps a rival would need for another schedule's loss."""

    factor: float
    """Above 1: the other is better. Between ``1 / MAX_FACTOR`` and `MAX_FACTOR`, which stands for that or more."""
    low: float
    """Of the 95 % interval, within the same bounds."""
    high: float | None
    """``None``: `MAX_FACTOR` times the steps may not reach the loss, nor perhaps any number."""
    basis: str
    """From which data, as a clause: ``"the curves of 7 runs"``."""


class LossOverSteps:
    """The expected loss at the end of a run as a function of its length, the schedule stretched to that length.

    A scaling law is fitted to the curves (`tuner.search.worth.scaling_law`). Where a schedule was run at several
    lengths, the difference of these losses corrects how much the law says that steps gain.

    Args:
        curves: Complete runs, at the horizon and at other lengths where there are any; the schedule of a run at
            another length is its configuration's, compressed.
        total_steps: The horizon.

    Raises:
        InvalidValue: ``total_steps`` is below 1.
    """

    def __init__(self, curves: Sequence[Curve], *, total_steps: int) -> None:
        if total_steps < 1:
            raise InvalidValue("total_steps", value=total_steps, allowed="a whole number of at least 1")
        self._total_steps = total_steps
        finite = [one for one in curves if one.is_complete and all(math.isfinite(loss) for _, loss in one.points)]
        # Squares of losses near the ends of the floats' range would overflow, or vanish.
        self._unit = _unit(loss for one in finite for _, loss in one.points)
        self._curves = [
            replace(one, points=tuple((step, loss / self._unit) for step, loss in one.points)) for one in finite
        ]
        self._gains: dict[Configuration, _Gains | None] = {}
        self._laws: dict[tuple[int, ...], _FittedLaws | None] = {}

    def factor(self, *, rival: Configuration, rival_loss: Normal, loss: Normal) -> StepsFactor | None:
        """How many times the steps the rival would need for the loss.

        Args:
            rival: The schedule to stretch, at the horizon.
            rival_loss: Its expected loss at the horizon.
            loss: The loss to reach.

        Returns:
            ``None`` where the curves cannot say: a metric that is maximized (losses below 0), too few evaluations, or
            a law that does not explain them, or not the rival's loss.
        """
        gains = self._of(rival)
        if gains is None or not gains.describes(rival_loss.mean / self._unit):
            return None
        std = math.hypot(rival_loss.std / self._unit, loss.std / self._unit)
        needed = (
            rival_loss.mean / self._unit - loss.mean / self._unit + std * (_DEVIATIONS if std > 0.0 else np.zeros(1))
        )
        low, middle, high = gains.stretches(needed, quantiles=(0.025, 0.5, 0.975))
        return StepsFactor(
            factor=middle, low=low, high=high if high < MAX_FACTOR * (1.0 - 1e-9) else None, basis=gains.fitted.basis
        )

    def margin(self, *, rival: Configuration, rival_loss: float, worth: float) -> float | None:
        """The loss that ``worth`` more steps (0.05: five per cent) would gain the rival; ``None`` as for `factor`."""
        gains = self._of(rival)
        if gains is None or not gains.describes(rival_loss / self._unit):
            return None
        return self._unit * gains.gain(1.0 + worth)

    def _of(self, rival: Configuration) -> _Gains | None:
        if rival not in self._gains:
            self._gains[rival] = self._fitted(rival)
        return self._gains[rival]

    def _fitted(self, rival: Configuration) -> _Gains | None:
        used = self._near(rival)
        if used not in self._laws:
            self._laws[used] = self._fit(used)
        fitted = self._laws[used]
        if fitted is None:
            return None
        slope = self._late_slope(rival, laws=fitted.laws)
        if slope <= 0.0:
            return None
        losses = fitted.laws.end_losses(
            Rates.of_schedule(rival.schedule, total_steps=self._total_steps), stretches=_STRETCHES
        )
        gains = _law_gains(losses)
        scales, weights = _gain_scales(fitted, doubled=float(fitted.laws.weights @ gains[:, _DOUBLED]), slope=slope)
        end = float(fitted.laws.weights @ losses[:, _MIDDLE])
        return _Gains(fitted=fitted, end=end, gains=gains, scales=scales, weights=weights)

    def _late_slope(self, rival: Configuration, *, laws: ScalingLaws) -> float:
        """The fall of the rival's own losses over the second half of its runs, in units of the laws' fall.

        It is 1 where it has no run, and below 0 where the loss rises: such a training overfits, or is past what it can
        learn, and more steps are not worth what a law of the others says.
        """
        halves = [
            (run.losses[late], laws.losses(run)[late])
            for place, run in self._runs.items()
            if self._curves[place].configuration == rival and self._curves[place].total_steps == self._total_steps
            for late in [run.steps >= self._total_steps / 2]
        ]
        if not halves:
            return 1.0
        seen = np.concatenate([losses - losses.mean() for losses, _ in halves])
        said = np.concatenate([by_laws - by_laws.mean() for _, by_laws in halves])
        return float(seen @ said / max(said @ said, 1e-300))

    def _near(self, rival: Configuration) -> tuple[int, ...]:
        """Places of the runs that end near the best of their length, and of the rival's own."""
        same = [place for place in self._runs if self._curves[place].configuration.options == rival.options]
        if any(loss < 0.0 for place in same for _, loss in self._curves[place].points):
            return ()
        used: list[int] = []
        for steps in {self._curves[place].total_steps for place in same}:
            of_length = [place for place in same if self._curves[place].total_steps == steps]
            best, distance = _regime([self._runs[place] for place in of_length])
            used += [
                place
                for place in of_length
                if self._runs[place].losses[-1] <= best + distance or self._curves[place].configuration == rival
            ]
        return tuple(sorted(used))

    def _fit(self, used: tuple[int, ...]) -> _FittedLaws | None:
        if not used:
            return None
        runs = [self._runs[place] for place in used]
        laws = fit(runs, horizon=self._total_steps)
        if laws.explained < _MIN_EXPLAINED:
            return None
        curves = [self._curves[place] for place in used]
        pairs = self._pairs(curves, laws=laws)
        if pairs and sum(measured * predicted for measured, predicted in pairs) <= 0.0:
            return None  # longer runs end higher: the training overfits, which curves of one length may hide
        basis = f"the curves of {len(used)} run{'s' if len(used) > 1 else ''}"
        if pairs:
            basis += f", and runs at {len({one.total_steps for one in curves})} lengths"
        return _FittedLaws(laws=laws, pairs=pairs, distance=_regime(runs)[1], basis=basis)

    @cached_property
    def _runs(self) -> dict[int, Evaluations]:
        """By place among the curves, those with enough evaluations."""
        runs = ((place, self._evaluations(curve)) for place, curve in enumerate(self._curves))
        return {place: run for place, run in runs if run is not None}

    def _evaluations(self, curve: Curve) -> Evaluations | None:
        schedule = curve.configuration.schedule
        steps = curve.total_steps
        if schedule.follows_loss:  # its rates differed from run to run
            return None
        if steps != self._total_steps:
            schedule = schedule.compressed(steps, from_steps=self._total_steps)
        first = max(_SKIPPED * steps, schedule.warmup.length(steps) + 1)
        points = [(step, loss) for step, loss in curve.points if step >= first]
        if len(points) < MIN_POINTS:
            return None
        at = [step for step, _ in points]
        return Evaluations(
            rates=Rates.of_schedule(schedule, total_steps=steps, steps=at),
            steps=np.array(at, dtype=np.float64),
            losses=np.array([loss for _, loss in points]),
        )

    def _pairs(self, curves: Sequence[Curve], *, laws: ScalingLaws) -> list[tuple[float, float]]:
        """The loss gained between a schedule's runs at the horizon and at another length, and what the laws say."""
        ends: defaultdict[Configuration, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for curve in curves:
            ends[curve.configuration][curve.total_steps].append(curve.points[-1][1])
        pairs = []
        for configuration, lengths in ends.items():
            if self._total_steps not in lengths or len(lengths) == 1:
                continue
            others = [steps for steps in lengths if steps != self._total_steps]
            stretches = np.array([self._total_steps, *others]) / self._total_steps
            rates = Rates.of_schedule(configuration.schedule, total_steps=self._total_steps)
            losses = laws.weights @ laws.end_losses(rates, stretches=stretches)
            at_horizon = np.mean(lengths[self._total_steps])
            pairs += [
                (float(at_horizon - np.mean(lengths[steps])), float(losses[0] - loss))
                for steps, loss in zip(others, losses[1:], strict=True)
            ]
        return pairs


@dataclass(frozen=True, eq=False, kw_only=True)
class _FittedLaws:
    """Laws, and what is known of their errors."""

    laws: ScalingLaws
    pairs: list[tuple[float, float]]
    """Loss gained between two lengths: measured, and by the laws."""
    distance: float
    """How far from the laws a loss is of another regime."""
    basis: str


@dataclass(frozen=True, eq=False, kw_only=True)
class _Gains:
    """What stretching one schedule gains: ``gains[l, f]`` by each law, times each scale."""

    fitted: _FittedLaws
    end: float
    """The loss at the horizon, by the laws."""
    gains: Array
    scales: Array
    """``[s]``, factors on the laws' gains."""
    weights: Array
    """``[s]``, the probability of each."""

    def describes(self, loss: float) -> bool:
        """Whether the schedule's loss at the horizon is near what the laws say."""
        return abs(loss - self.end) <= self.fitted.distance

    def gain(self, stretch: float) -> float:
        """The median gain of a stretch."""
        by_law = np.array([np.interp(math.log(stretch), np.log(_STRETCHES), row) for row in self.gains])
        gains = by_law[:, None] * self.scales
        weights = np.outer(self.fitted.laws.weights, self.weights)
        return _quantiles(gains, weights=weights, at=(0.5,))[0]

    def stretches(self, needed: Array, *, quantiles: tuple[float, ...]) -> list[float]:
        """Quantiles of the stretch that gains what is needed, for equally likely needs ``[d]``."""
        scaled = (needed[:, None] / self.scales).ravel()
        found = np.exp([np.interp(scaled, row, np.log(_STRETCHES)) for row in self.gains])
        weights = np.outer(self.fitted.laws.weights, np.tile(self.weights, len(needed)))
        return _quantiles(found, weights=weights, at=quantiles)


def _unit(losses: Iterable[float]) -> float:
    """A power of two near the largest loss: dividing by it loses no digit."""
    largest = max(map(abs, losses), default=0.0)
    return math.ldexp(1.0, min(max(math.frexp(largest)[1], -1000), 1000)) if largest else 1.0


def _gain_scales(fitted: _FittedLaws, *, doubled: float, slope: float) -> tuple[Array, Array]:
    """Factors on what the laws say that a schedule gains, ``[s]``, and the probability of each.

    Args:
        fitted: The laws.
        doubled: What they say that twice the steps gain it.
        slope: How fast its losses fall in the second half of its runs, in units of what they say; above 0.
    """
    misfit = fitted.laws.residual_std / max(doubled, 1e-12)
    std = math.hypot(_SCALE_STD, _MISFIT_SHARE * misfit, math.log(slope))
    scales = np.exp(min(std, _MAX_SCALE_STD) * _DEVIATIONS)
    evidence = np.zeros_like(scales)
    for measured, predicted in fitted.pairs:
        std = math.hypot(math.sqrt(2.0) * fitted.laws.residual_std, _SCHEDULE_STD * predicted)
        evidence -= 0.5 * np.square((measured - scales * predicted) / std)
    weights = np.exp(evidence - evidence.max())
    return scales, weights / weights.sum()


def _law_gains(losses: Array) -> Array:
    """``[m, f]``, ascending along f, 0 at the stretch of 1; from the losses at `_STRETCHES`."""
    # A constant rate may end higher after a few more steps, while its noise still builds up: no gain, not a loss.
    falling = np.minimum.accumulate(losses, axis=1)
    gains: Array = falling[:, _MIDDLE : _MIDDLE + 1] - falling
    return gains


def _regime(runs: Sequence[Evaluations]) -> tuple[float, float]:
    """The lowest loss at the end, and the distance from it beyond which a run is of another regime."""
    best = min(float(run.losses[-1]) for run in runs)
    start = float(np.median([run.losses[0] for run in runs]))
    return best, _FAR * max(start - best, 0.0)


def _quantiles(values: Array, *, weights: Array, at: tuple[float, ...]) -> list[float]:
    """Quantiles of weighted values; both have the same shape."""
    order = np.argsort(values, axis=None, kind="stable")
    shares = np.cumsum(weights.ravel()[order])
    places = np.searchsorted(shares, np.array(at) * shares[-1]).clip(max=len(order) - 1)
    found: list[float] = values.ravel()[order[places]].tolist()
    return found
