"""The losses that the rates of a trial followed, for pictures of its schedule."""

from __future__ import annotations

import math

from tuner.jobs.records import TrialRecord
from tuner.schedules.values import Losses
from tuner.store import Store


def followed_losses(trial: TrialRecord, *, job_id: str, store: Store) -> Losses:
    """The evaluations of a trial's first run so far; empty for a schedule that follows no loss."""
    if not trial.schedule.follows_loss:
        return ()
    runs = store.runs.list(job_id, trial=trial.number, limit=1).items
    points = store.runs.curve(runs[0].id) if runs else ()
    return tuple((point.step, point.val_loss) for point in points if math.isfinite(point.val_loss))
