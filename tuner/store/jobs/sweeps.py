"""The curves of the runs of an LR range test."""

from __future__ import annotations

import math

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.jobs.records import JobRecord
from tuner.jobs.states import RunState
from tuner.search.decision.decisions import RANGE_TEST_TRIAL
from tuner.search.range_test.result import SweepCurve
from tuner.store.db.models import Point, Run

_MAX_POINTS = 5_000
"""Points that are read of a run: code that reports after each update may store any number."""
_RUNNING = (RunState.LEASED, RunState.QUEUED)
_WITH_CURVE = (*_RUNNING, RunState.SUCCEEDED, RunState.DIVERGED)


def read_sweeps(session: Session, job: JobRecord) -> tuple[SweepCurve, ...]:
    """The curves of a job's range test, of each run as far as it has come; none of a job without a range test.

    The loss is that of the training, where every evaluation has it, else the metric's. One that is not finite ends the
    curve: the run has diverged.
    """
    if job.spec.search.range_test is None:
        return ()
    runs = select(Run.id, Run.seed, Run.state).where(
        Run.job_id == job.id, Run.trial_number == RANGE_TEST_TRIAL, Run.state.in_(_WITH_CURVE)
    )
    return tuple(
        SweepCurve(seed=seed, points=_points(session, run_id), running=state in _RUNNING)
        for run_id, seed, state in session.execute(runs.order_by(Run.seq)).all()
    )


def _points(session: Session, run_id: str) -> tuple[tuple[int, float, float], ...]:
    stored = (
        select(Point.step, Point.lr, Point.train_loss, Point.val_loss)
        .where(Point.run_id == run_id, Point.step > 0)
        .order_by(Point.step)
        .limit(_MAX_POINTS)
    )
    rows = session.execute(stored).all()
    by_training = all(train_loss is not None for _, _, train_loss, _ in rows)
    points: list[tuple[int, float, float]] = []
    for step, lr, train_loss, val_loss in rows:
        loss = train_loss if by_training else val_loss
        if loss is None or not math.isfinite(loss):
            break
        points.append((step, lr, loss))
    return tuple(points)
