"""Forecasts of running trainings: what they are made from, and what was stored of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuner.jobs.forecasts import ForecastRecord, StoppingContext, TrialCurve
from tuner.jobs.records import LeasedRun
from tuner.jobs.states import RunState
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration, option_values
from tuner.search.decision.decisions import RANGE_TEST_TRIAL, Role
from tuner.search.settings import PrunerName
from tuner.store.db.database import Repository, reads
from tuner.store.db.models import Forecast, Point, Run, Trial
from tuner.store.db.rows import forecast_record, job_record
from tuner.store.jobs.run_queries import find_run
from tuner.store.jobs.transitions import find_job

Losses = tuple[tuple[int, float], ...]
"""Steps done, ascending, and the loss there."""

MAX_POINTS = 200
"""Of one curve, at most."""
MAX_CURVES = 100
"""Of one job, at most: those that ended last."""


_NEVER_STOPPED: Final = frozenset({Role.INCUMBENT, Role.RANGE_TEST})


class Forecasts(Repository):
    """The forecasts of runs, for reading; leases write them."""

    @reads
    def of_run(self, session: Session, run_id: str) -> tuple[ForecastRecord, ...]:
        """The forecasts of a run, by step.

        Raises:
            NotFound: There is no such run.
        """
        find_run(session, run_id)
        rows = session.scalars(select(Forecast).where(Forecast.run_id == run_id).order_by(Forecast.step))
        return tuple(map(forecast_record, rows))

    @reads
    def losses(self, session: Session, run_ids: Sequence[str], *, points: int) -> Mapping[str, Losses]:
        """The losses of runs by id, at most ``points`` of each.

        They are the first of each stretch of the run, and the one at its end. A loss that is not finite is left out.
        What is read of a run that goes on contains what was read before.
        """
        return read_losses(session, run_ids, points=points)

    @reads
    def complete_curves(self, session: Session, job_id: str, *, total_steps: int) -> tuple[TrialCurve, ...]:
        """The curves of a job's runs of this length that were trained to their end, the 100 that ended last."""
        return _curves(session, job_id, total_steps=total_steps)

    @reads
    def context(self, session: Session, lease: LeasedRun, *, loaded: Collection[str] = ()) -> StoppingContext | None:
        """What the forecasts of a leased run are made from and compared with.

        Args:
            lease: The run.
            loaded: The runs that have ended, by id, that the caller has already.

        Returns:
            ``None`` for a run that is not stopped: its search prunes nothing, or recommends nothing yet; it is the
            incumbent's, which every other is compared with; or it is a further seed of its schedule, whose loss
            counts against those of other schedules on that seed, not against the leader's expected one.

        Raises:
            NotFound: The job was deleted.
        """
        job = job_record(find_job(session, lease.job_id))
        run, trial = session.execute(
            select(Run, Trial).join(Trial, Trial.id == Run.trial_id).where(Run.id == lease.run_id)
        ).one()
        earlier = session.scalar(select(func.count()).where(Run.trial_id == trial.id, Run.seq < run.seq))
        if not job.spec.search.prune or job.best is None or earlier or trial.role in _NEVER_STOPPED:
            return None
        own = read_losses(session, [run.id], points=MAX_POINTS)[run.id]
        resumed_at = -1 if lease.snapshot is None else lease.snapshot.step
        return StoppingContext(
            trial=trial.number,
            pruner=job.spec.search.pruner,
            search_seed=job.spec.search.seed,
            best=job.best,
            ended=_curves(
                session,
                job.id,
                total_steps=lease.total_steps,
                loaded=loaded,
                stopped=job.spec.search.pruner is not PrunerName.FORECAST,
            ),
            points=tuple((step, loss) for step, loss in own if step <= resumed_at),
            configuration=_configuration(trial),
        )


def read_losses(session: Session, run_ids: Sequence[str], *, points: int) -> Mapping[str, Losses]:
    """As `Forecasts.losses`."""
    stretch = Point.step * (points - 1) // Run.total_steps
    first = (
        select(Point.run_id, func.min(Point.step).label("step"))
        .join(Run, Run.id == Point.run_id)
        .where(Point.run_id.in_(run_ids), Point.val_loss.is_not(None))
        .group_by(Point.run_id, stretch)
        .subquery()
    )
    rows = session.execute(
        select(Point.run_id, Point.step, Point.val_loss)
        .join(first, (first.c.run_id == Point.run_id) & (first.c.step == Point.step))
        .order_by(Point.run_id, Point.step)
    )
    losses: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for run_id, step, loss in rows:
        if loss is not None and math.isfinite(loss):
            losses[run_id].append((step, loss))
    return {run_id: tuple(losses[run_id]) for run_id in run_ids}


def read_stops(session: Session, job_id: str) -> Mapping[str, ForecastRecord]:
    """By run, the forecast that stopped it; of an audited run the first that would have stopped it."""
    rows = session.scalars(
        select(Forecast)
        .join(Run, Run.id == Forecast.run_id)
        .where(Run.job_id == job_id, Forecast.stop)
        .order_by(Forecast.run_id, Forecast.step)
    )
    stops: dict[str, ForecastRecord] = {}
    for row in rows:
        if row.run_id not in stops or not row.audited:
            stops[row.run_id] = forecast_record(row)
    return stops


def _curves(
    session: Session, job_id: str, *, total_steps: int, loaded: Collection[str] = (), stopped: bool = False
) -> tuple[TrialCurve, ...]:
    """The curves of the runs that ended last: of the complete ones, and on request of those that were stopped."""
    # One that ended early by its own rule shows nothing of the last losses.
    complete = (Run.state == RunState.SUCCEEDED) & (Run.step == total_steps)
    ended = (
        select(Run, Trial)
        .join(Trial, Trial.id == Run.trial_id)
        .where(
            Run.job_id == job_id,
            Run.total_steps == total_steps,
            complete | (Run.state == RunState.STOPPED) if stopped else complete,
            Run.trial_number != RANGE_TEST_TRIAL,
        )
        .order_by(Run.finished_at.desc(), Run.seq)
        .limit(MAX_CURVES)
    )
    rows = [(run, trial) for run, trial in session.execute(ended) if run.id not in loaded]
    losses = read_losses(session, [run.id for run, _ in rows], points=MAX_POINTS)
    return tuple(
        TrialCurve(
            run_id=run.id,
            trial=trial.number,
            configuration=_configuration(trial),
            seed=run.seed,
            total_steps=run.total_steps,
            points=losses[run.id],
        )
        for run, trial in rows
    )


def _configuration(trial: Trial) -> Configuration:
    return Configuration(schedule=Schedule.model_validate(trial.schedule), options=option_values(trial.options))
