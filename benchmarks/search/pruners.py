"""What decides, from a run's evaluations so far, that it cannot win: our forecast, and two rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.search.pruning.forecast import MIN_POINTS, Curve, LossForecaster
from tuner.search.pruning.stopping import Leader, check_forecast

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a pruner says of a run at one evaluation."""

    stop: bool
    covers: bool | None
    """Whether its 95 % interval contains the loss at the end; ``None`` without an interval."""


class Pruner(Protocol):
    """Checks runs, from complete runs of the same length."""

    def __init__(self, complete: Sequence[Curve], *, total_steps: int) -> None:
        """Learn from the complete runs."""

    def checks(self, run: Curve, *, leader: float) -> dict[int, Check]:
        """By step: its evaluations at which the pruner says something, from the complete curve of the run."""


class Forecast:
    """The product: a run is stopped when the chance that it ends below the leader is below 1 %."""

    def __init__(self, complete: Sequence[Curve], *, total_steps: int) -> None:
        self._forecaster = LossForecaster(complete, total_steps=total_steps)

    def checks(self, run: Curve, *, leader: float) -> dict[int, Check]:
        """See `Pruner`."""
        found = {}
        for count in range(MIN_POINTS, len(run.points)):
            so_far = replace(run, points=run.points[:count])
            check = check_forecast(self._forecaster, so_far, leader=Leader(mean=leader, std=0.0), margin=0.0)
            if check is not None:
                inside = check.forecast.low <= run.points[-1][1] <= check.forecast.high
                found[check.forecast.step] = Check(stop=check.stop, covers=inside)
        return found


class Ridge:
    """A ridge regression of the log of the final loss, three deviations of its left-out errors above the leader.

    Its features: log loss, share of the rate's area still to come, present rate, peak and progress.
    """

    _PENALTY = 0.01
    _DEVIATIONS = 3.0

    def __init__(self, complete: Sequence[Curve], *, total_steps: int) -> None:
        self._total_steps = total_steps
        self._rows = [(self._features(one), np.log(one.points[-1][1])) for one in complete if _is_positive(one)]
        self._deviation = np.inf
        if len(self._rows) > 3:
            left_out = [
                end - self._predicted([*self._rows[:place], *self._rows[place + 1 :]], rows)
                for place, (rows, end) in enumerate(self._rows)
            ]
            self._deviation = float(np.sqrt(np.mean(np.square(np.concatenate(left_out)))))

    def checks(self, run: Curve, *, leader: float) -> dict[int, Check]:
        """See `Pruner`."""
        if not np.isfinite(self._deviation) or not _is_positive(run):
            return {}
        means = self._predicted(self._rows, self._features(run))
        away = np.abs(means - np.log(run.points[-1][1]))
        stops = means - self._DEVIATIONS * self._deviation > np.log(leader)
        steps = [step for step, _ in run.points[MIN_POINTS - 1 : -1]]
        return {
            step: Check(stop=bool(stop), covers=bool(error < 1.96 * self._deviation))
            for step, stop, error in zip(steps, stops, away, strict=True)
        }

    def _predicted(self, rows: Sequence[tuple[Array, float]], wanted: Array) -> Array:
        """``[n]``, log final losses."""
        features = np.concatenate([one for one, _ in rows])
        ends = np.concatenate([np.full(len(one), end) for one, end in rows])
        center, unit = features.mean(axis=0), features.std(axis=0) + 1e-9
        scaled = (features - center) / unit
        penalty = self._PENALTY * len(ends) * np.eye(scaled.shape[1])
        weights = np.linalg.solve(scaled.T @ scaled + penalty, scaled.T @ (ends - ends.mean()))
        predicted: Array = (wanted - center) / unit @ weights + ends.mean()
        return predicted

    def _features(self, run: Curve) -> Array:
        """``[n, 5]``, one row for each evaluation from the fifth on, without the last."""
        steps, losses = (np.array(column) for column in zip(*run.points[MIN_POINTS - 1 : -1], strict=True))
        schedule = run.configuration.schedule
        rates = schedule.lrs(self._total_steps)
        area = np.cumsum(rates)
        return np.stack(
            [
                np.log(losses),
                1.0 - area[steps - 1] / area[-1],
                rates[steps] / schedule.peak_lr,
                np.full(len(steps), np.log(schedule.peak_lr)),
                steps / self._total_steps,
            ],
            axis=1,
        )


class Median:
    """What general tuners do: stop a run whose loss is above the median of the complete runs at the same step."""

    def __init__(self, complete: Sequence[Curve], *, total_steps: int) -> None:
        self._complete = complete

    def checks(self, run: Curve, *, leader: float) -> dict[int, Check]:
        """See `Pruner`."""
        found = {}
        for step, loss in run.points[MIN_POINTS - 1 : -1]:
            passed = [np.interp(step, *np.array(one.points).T) for one in self._complete]
            found[step] = Check(stop=bool(loss > np.median(passed)), covers=None)
        return found


def _is_positive(curve: Curve) -> bool:
    return len(curve.points) > MIN_POINTS and all(loss > 0.0 for _, loss in curve.points)


PRUNERS: dict[str, type[Pruner]] = {
    "forecast": Forecast,
    "ridge, 3 deviations": Ridge,
    "median of the raw loss": Median,
}
