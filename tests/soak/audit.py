"""What a soak has left in the database: what was lost, recorded twice, stuck, or failed for want of machines.

It reads the tables with SQL of its own, not with the code that wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, create_engine, text

from tests.soak.jobs import TOTAL_STEPS
from tests.soak.site import SNAPSHOT_SECONDS, UPDATE_SECONDS, Site
from tests.soak.workload import undisturbed_loss
from tuner.schedules import Schedule
from tuner.training.evaluation_steps import evaluation_steps

_COLUMNS = ("state", "step", "shared_updates", "attempts", "seed", "total_steps", "loss", "schedule", "error")
_OPEN = "('queued', 'running', 'paused')"
_TWICE = (
    # a run that ended more than once
    "SELECT count(*) FROM (SELECT r.id FROM tuner_runs r JOIN tuner_events e ON e.job_id = r.job_id"
    " WHERE e.kind IN ('run.succeeded', 'run.diverged', 'run.stopped') AND CAST(e.data AS TEXT) LIKE '%' || r.id || '%'"
    " GROUP BY r.id HAVING count(*) > 1) AS ended",
    # one trial trained twice with the same seed
    "SELECT count(*) FROM (SELECT trial_id FROM tuner_runs GROUP BY trial_id, seed, total_steps HAVING count(*) > 1)"
    " AS repeated",
    # one request that made two jobs
    "SELECT count(*) FROM (SELECT idempotency_key FROM tuner_jobs GROUP BY idempotency_key HAVING count(*) > 1)"
    " AS submitted",
)
_WITHOUT_RESULT = (
    "SELECT count(*) FROM tuner_trials t JOIN tuner_jobs j ON j.id = t.job_id WHERE j.state = 'completed'"
    " AND NOT EXISTS (SELECT 1 FROM tuner_runs r WHERE r.trial_id = t.id"
    " AND r.state IN ('succeeded', 'diverged', 'stopped'))"
)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Counts of one soak over one database."""

    jobs: int
    runs: int
    lost: int
    """Jobs that were confirmed and are not there, and trials of completed jobs without a result."""
    twice: int
    """Runs that ended more than once, or were made twice; requests that made two jobs."""
    stuck: int
    """Jobs that have not ended."""
    failed: int
    """Jobs and runs that failed: the training code never does."""
    wrong: int
    """Runs whose loss is not that of an undisturbed training."""
    steps_needed: int
    """Updates that lead to the results."""
    steps_executed: int
    """Updates that were made, by the trace."""
    steps_allowed: int
    """Most updates that may be repeated: a snapshot interval and an evaluation interval per interrupted attempt; where
    snapshots were damaged, the whole run."""
    reasons: tuple[str, ...]
    """Of what failed."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong, and no more was trained again than may be."""
        none_wrong = not (self.lost or self.twice or self.stuck or self.failed or self.wrong)
        return none_wrong and self.steps_executed - self.steps_needed <= self.steps_allowed


def audit(site: Site, *, accepted: Sequence[str], damaged: int) -> Audit:
    """Count what a soak has left.

    Args:
        site: Its processes are down; its database is up.
        accepted: Ids of the jobs that were confirmed.
        damaged: How often the snapshots were damaged.
    """
    engine = create_engine(site.direct_url)
    try:
        with engine.connect() as connection:
            runs = connection.execute(text(f"SELECT {', '.join(_COLUMNS)} FROM tuner_runs")).all()
            there = set(connection.scalars(text("SELECT id FROM tuner_jobs")))
            reasons = [
                *connection.scalars(text("SELECT error FROM tuner_jobs WHERE state = 'failed'")),
                *(run.error for run in runs if run.state == "failed"),
            ]
            interrupted = sum(max(0, run.attempts - 1) for run in runs)
            again = SNAPSHOT_SECONDS / UPDATE_SECONDS + evaluation_steps(TOTAL_STEPS)[0]
            return Audit(
                jobs=len(there),
                runs=len(runs),
                lost=len(set(accepted) - there) + _count(connection, _WITHOUT_RESULT),
                twice=sum(_count(connection, statement) for statement in _TWICE),
                stuck=_count(connection, f"SELECT count(*) FROM tuner_jobs WHERE state IN {_OPEN}"),
                failed=len(reasons),
                wrong=sum(_is_wrong(run) for run in runs if run.state == "succeeded"),
                steps_needed=sum(run.step - run.shared_updates for run in runs),
                steps_executed=site.trace.stat().st_size if site.trace.exists() else 0,
                steps_allowed=round(interrupted * again) + damaged * len(site.workers) * TOTAL_STEPS,
                reasons=tuple(str(reason) for reason in reasons),
            )
    finally:
        engine.dispose()


def _count(connection: Connection, statement: str) -> int:
    return int(connection.scalar(text(statement)) or 0)


def _is_wrong(run: Row[tuple[object, ...]]) -> bool:
    """Whether a run's loss differs in any bit from that of an undisturbed training."""
    stored = json.loads(run.schedule) if isinstance(run.schedule, str) else run.schedule
    schedule = Schedule.model_validate(stored)
    return bool(run.loss != undisturbed_loss(schedule, total_steps=run.total_steps, seed=run.seed))
