"""Forecasts the loss at the end of the run that is trained, and decides whether the run is stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from typing import Final

from tuner.errors import DatabaseUnavailable, NotFound
from tuner.jobs.forecasts import ForecastRecord, StoppingContext
from tuner.jobs.records import CurvePoint, LeasedRun
from tuner.logs import event_logger
from tuner.search.optuna.pruners import RawPruning
from tuner.search.pruning.audit import is_audited
from tuner.search.pruning.forecast import Curve, LossForecaster
from tuner.search.pruning.stopping import ForecastCheck, Leader, check_forecast
from tuner.search.settings import PrunerName
from tuner.store import Store
from tuner.store.jobs.forecasts import MAX_CURVES, MAX_POINTS

_log = event_logger(__name__)

RELOAD_SECONDS: Final = 30.0
"""How old what a forecast rests on may be: the runs that other workers complete, and the trial that leads."""


class EarlyStopping:
    """The forecasts of one run at a time.

    A forecast is no part of the training: where none can be made, for whatever reason, the run goes on.

    Args:
        store: The database.
        clock: Monotonic seconds.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._of: tuple[str, int] | None = None
        self._curves: dict[str, Curve] = {}
        self._trials: dict[str, int] = {}
        self._raw: RawPruning | None = None
        self._forecaster: LossForecaster | None = None
        self._context: StoppingContext | None = None
        self._losses: dict[int, tuple[int, float]] = {}  # the first of each stretch of the run
        self._next_load = 0.0

    def enter_run(self, lease: LeasedRun) -> None:
        """Begin with a run: load what its forecasts rest on, and its own losses up to its snapshot."""
        of = (lease.job_id, lease.total_steps)
        if of != self._of:
            self._of, self._curves, self._trials, self._forecaster = of, {}, {}, None
        self._context, self._losses, self._raw = None, {}, None
        self._load(lease)
        if self._context is not None:
            self._add(self._context.points, lease=lease)

    def branched(self, lease: LeasedRun, *, points: Sequence[CurvePoint]) -> None:
        """Add the evaluations of a shared prefix."""
        self._add([(point.step, point.val_loss) for point in points], lease=lease)

    def evaluated(self, lease: LeasedRun, *, point: CurvePoint) -> ForecastRecord | None:
        """Add an evaluation, and forecast the loss at the end.

        Returns:
            The forecast; ``None`` where there is none.
        """
        if not self._add([(point.step, point.val_loss)], lease=lease) or point.step >= lease.total_steps:
            return None
        if self._clock() >= self._next_load:
            self._load(lease)
        try:
            forecast = self._forecast(lease)
        except Exception as error:  # numerics on a user's losses may raise anything; the run goes on
            _log.warning("forecast.failed", error=f"{type(error).__name__}: {error}", step=point.step)
            return None
        if forecast is not None and not all(map(math.isfinite, astuple(forecast))):
            _log.warning("forecast.failed", error="a figure of it is not finite", step=point.step)
            return None
        return forecast

    def _forecast(self, lease: LeasedRun) -> ForecastRecord | None:
        if self._context is None or not self._curves:
            return None
        if self._forecaster is None:
            self._forecaster = LossForecaster(tuple(self._curves.values()), total_steps=lease.total_steps)
        running = Curve(
            configuration=self._context.configuration,
            seed=lease.seed,
            total_steps=lease.total_steps,
            points=tuple(self._losses.values()),
        )
        best = self._context.best
        leader = Leader(mean=lease.metric.loss(best.value), std=best.std)
        check = check_forecast(self._forecaster, running, leader=leader, margin=best.margin)
        if check is not None and self._context.pruner is not PrunerName.FORECAST:
            check = replace(check, stop=self._raw_pruning(self._context, lease=lease).stops(running))
        return None if check is None else _record(check, audited=is_audited(trial=self._context.trial, seed=lease.seed))

    def _raw_pruning(self, context: StoppingContext, *, lease: LeasedRun) -> RawPruning:
        if self._raw is None:
            # First runs have the seed of this one, which is one too.
            ended = {self._trials[run]: one for run, one in self._curves.items() if one.seed == lease.seed}
            others = {trial: one for trial, one in ended.items() if one.points and trial != context.trial}
            self._raw = RawPruning(context.pruner, others=others, trial=context.trial, seed=context.search_seed)
        return self._raw

    def _add(self, losses: Sequence[tuple[int, float]], *, lease: LeasedRun) -> bool:
        """Add evaluations, after which all known ones at or beyond their first step are void.

        Returns:
            Whether the last of them is the first of its stretch.
        """
        added = False
        for step, loss in losses:
            self._losses = {at: known for at, known in self._losses.items() if known[0] < step}
            stretch = step * (MAX_POINTS - 1) // lease.total_steps
            if added := math.isfinite(loss) and stretch not in self._losses:
                self._losses[stretch] = (step, loss)
        return added

    def _load(self, lease: LeasedRun) -> None:
        self._next_load = self._clock() + RELOAD_SECONDS
        try:
            self._context = self._store.forecasts.context(lease, loaded=self._curves.keys())
        except (DatabaseUnavailable, NotFound):
            return  # what was loaded before is of use still
        if self._context is None or not self._context.ended:
            return
        self._forecaster = self._raw = None
        for one in reversed(self._context.ended):  # those that ended last at the end
            self._trials[one.run_id] = one.trial
            self._curves[one.run_id] = Curve(
                configuration=one.configuration, seed=one.seed, total_steps=one.total_steps, points=one.points
            )
        for oldest in list(self._curves)[:-MAX_CURVES]:
            del self._curves[oldest]


def _record(check: ForecastCheck, *, audited: bool) -> ForecastRecord:
    forecast, leader = check.forecast, check.leader
    return ForecastRecord(
        step=forecast.step,
        mean=forecast.mean,
        std=forecast.std,
        low=forecast.low,
        high=forecast.high,
        chance=check.chance,
        leader_mean=leader.mean,
        leader_std=leader.std,
        margin=check.margin,
        stop=check.stop,
        audited=check.stop and audited,
    )
