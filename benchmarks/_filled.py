"""Fills a database with many jobs, row by row: planning ten thousand jobs would take hours."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, text

from tuner.devices import Device
from tuner.jobs.records import Level, WorkerOffer, WorkloadInfo
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.people.records import TeamSettings
from tuner.schedules import Cosine, Schedule, Warmup
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, default_space
from tuner.store import Store
from tuner.store.db.engine import connect, parse_url
from tuner.store.db.models import Account, Job, Pace, Run, Team, Trial

RUN_STEPS = 100
WORKLOAD = WorkloadInfo(
    name="no-op",
    version="1",
    level=Level.DECLARED,
    description="Trains nothing.",
    options_schema={"type": "object", "properties": {}},
    optimizer_option=None,
    optimizer=OptimizerKind.SGD,
    default_steps=RUN_STEPS,
    peak_lr={},
)
_SCHEDULE = Schedule(peak_lr=0.1, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.05))
_BATCH = 2_000


def offer(name: str) -> WorkerOffer:
    """The offer of a no-op worker."""
    return WorkerOffer.of(name, device=Device(name="cpu", torch_name="cpu"), workloads=[WORKLOAD])


def fill(url: str, *, weights: Sequence[float], jobs: int, ready_runs: int, points: int = 0) -> list[str]:
    """Fill an upgraded database. The workload's pace is known, as it is from its first finished run on.

    Args:
        url: The database's.
        weights: Of the teams; one team each.
        jobs: Running jobs, distributed over the teams in turn; completed ones when there are points.
        ready_runs: Queued runs of each job, or finished ones when there are points.
        points: Curve points of each run, which has then succeeded.

    Returns:
        The ids of the jobs.
    """
    store = Store.open(url)
    store.workers.announce(offer("filler"), workloads=[WORKLOAD])
    store.close()
    engine = connect(parse_url(url))
    teams = [f"team{number}" for number in range(len(weights))]
    made = [_job(team=teams[number % len(teams)], finished=points > 0) for number in range(jobs)]
    trials = [_trial(job["id"], number=number) for job in made for number in range(ready_runs)]
    runs = [_run(trial, finished=points > 0) for trial in trials]
    with engine.begin() as connection:
        settings = [TeamSettings(weight=weight).model_dump(mode="json") for weight in weights]
        rows = [{"name": name, "settings": of, "created_at": 0.0} for name, of in zip(teams, settings, strict=True)]
        connection.execute(insert(Team), rows)
        connection.execute(insert(Account), [{"team": team, "owner": "user"} for team in teams])
        pace = {"workload": WORKLOAD.name, "version": WORKLOAD.version, "device_model": "cpu"}
        connection.execute(insert(Pace), {**pace, "updates": 2 * RUN_STEPS, "device_seconds": 1.0})
        for model, filling in ((Job, made), (Trial, trials), (Run, runs)):
            for begin in range(0, len(filling), _BATCH):
                connection.execute(insert(model), filling[begin : begin + _BATCH])
        if points:
            connection.execute(
                text(
                    "INSERT INTO tuner_curve_points (run_id, step, lr, train_loss, val_loss) "
                    "SELECT r.id, s, 0.1, 1.0 / s, 1.0 / s FROM tuner_runs r, generate_series(1, :points) s"
                ),
                {"points": points},
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    engine.dispose()
    return [job["id"] for job in made]


_SPEC = JobSpec(
    workload=WORKLOAD.name,
    name="filled",
    search=SearchSettings(total_steps=RUN_STEPS, space=default_space(OptimizerKind.SGD)),
).model_dump(mode="json")


def _job(*, team: str, finished: bool) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "state": JobState.COMPLETED if finished else JobState.RUNNING,
        "team": team,
        "owner": "user",
        "shared": False,
        "priority": 1,
        "workload": WORKLOAD.name,
        "workload_version": WORKLOAD.version,
        "name": "filled",
        "spec": {**_SPEC, "team": team},
        "created_at": 0.0,
        "started_at": 0.0,
        "finished_at": 1.0 if finished else None,
        "updates_spent": 0,
        "device_seconds": 0.0,
        "plan_due": False,
    }


def _trial(job_id: str, *, number: int) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "job_id": job_id,
        "number": number,
        "optuna_number": number,
        "family": "cosine",
        "state": TrialState.ACTIVE,
        "schedule": _SCHEDULE.model_dump(mode="json"),
        "reason": "filled",
    }


def _run(trial: dict[str, Any], *, finished: bool) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "job_id": trial["job_id"],
        "trial_id": trial["id"],
        "trial_number": trial["number"],
        "seed": 7,
        "total_steps": RUN_STEPS,
        "schedule": trial["schedule"],
        "state": RunState.SUCCEEDED if finished else RunState.QUEUED,
        "reason": "filled",
        "attempts": 0,
        "step": 0,
        "updates": 0,
        "device_seconds": 0.0,
        "loss": 0.5 if finished else None,
        "created_at": 0.0,
        "queued_at": 0.0,
        "started_at": 0.0 if finished else None,
        "finished_at": 1.0 if finished else None,
    }
