"""Conversions between rows and records."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tuner.errors import InvalidValue
from tuner.jobs.forecasts import BestTrial, ForecastRecord
from tuner.jobs.records import (
    CurvePoint,
    EventRecord,
    JobRecord,
    Level,
    LogChunk,
    RunRecord,
    TrialRecord,
    WorkerRecord,
    WorkloadInfo,
)
from tuner.jobs.spec import JobSpec
from tuner.metric import Metric
from tuner.schedules import Schedule
from tuner.search.decision.decisions import Alternative
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, TrainingKind
from tuner.store.db import models
from tuner.store.db.models import Event, Forecast, Job, Point, Run, Trial, Worker, Workload
from tuner.text import escaped_text

MAX_TEXT = 20_000
"""Stored characters of an error; of a longer one, the first and the last half."""


def job_record(job: Job) -> JobRecord:
    """The record of a job."""
    return JobRecord(
        id=job.id,
        state=job.state,
        spec=job_spec(job.spec),
        metric=job_metric(job),
        owner=job.owner,
        origin=job.origin,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        error=job.error,
        updates_spent=job.updates_spent,
        updates_saved=job.updates_saved,
        device_seconds=job.device_seconds,
        failed_attempts=job.failed_attempts,
        lost_attempts=job.lost_attempts,
        limit_reached=job.limit_reached,
        best=None if job.best is None else BestTrial(**job.best),
        plan_due=job.plan_due,
    )


def job_metric(job: Job) -> Metric:
    """What a job's runs are judged by."""
    return Metric.model_validate(job.metric)


def job_spec(stored: dict[str, Any]) -> JobSpec:
    """A job's request, from its stored JSON."""
    return JobSpec.model_validate({**stored, "search": _search(json.dumps(stored["search"]))})


@lru_cache(maxsize=1024)
def _search(stored: str) -> SearchSettings:
    """The search settings of a request. Cached: validating a search space builds schedules, the slowest part of a read.

    The settings are frozen, so callers can share them.
    """
    return SearchSettings.model_validate_json(stored)


def trial_record(trial: Trial) -> TrialRecord:
    """The record of a trial."""
    return TrialRecord(
        id=trial.id,
        job_id=trial.job_id,
        number=trial.number,
        optuna_number=trial.optuna_number,
        role=trial.role,
        state=trial.state,
        schedule=Schedule.model_validate(trial.schedule),
        options=dict(trial.options),
        reason=trial.reason,
        end_reason=trial.end_reason,
    )


def run_record(run: Run, *, metric: Metric) -> RunRecord:
    """The record of a run of a job with this metric."""
    return RunRecord(
        id=run.id,
        job_id=run.job_id,
        trial_id=run.trial_id,
        trial_number=run.trial_number,
        seed=run.seed,
        total_steps=run.total_steps,
        schedule=Schedule.model_validate(run.schedule),
        state=run.state,
        reason=run.reason,
        alternatives=tuple(Alternative(**one) for one in run.alternatives),
        attempts=run.attempts,
        failed_attempts=run.failed_attempts,
        lost_attempts=run.lost_attempts,
        worker=run.worker,
        step=run.step,
        updates=run.updates,
        shared_updates=run.shared_updates,
        device_seconds=run.device_seconds,
        metric=metric,
        loss=run.loss,
        error=run.error,
        stop_reason=run.stop_reason,
        created_at=run.created_at,
        queued_at=run.queued_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
    )


def point_row(point: CurvePoint, *, run_id: str) -> dict[str, Any]:
    """The columns of a curve point. NaN becomes NULL, as SQLite stores it, so that both databases agree."""
    return {
        "run_id": run_id,
        "step": point.step,
        "lr": point.lr,
        "train_loss": _not_nan(point.train_loss),
        "val_loss": _not_nan(point.val_loss),
    }


def curve_point(point: Point) -> CurvePoint:
    """The record of a curve point."""
    return CurvePoint(
        step=point.step,
        lr=point.lr,
        train_loss=point.train_loss,
        val_loss=math.nan if point.val_loss is None else point.val_loss,
    )


def forecast_row(forecast: ForecastRecord, *, run_id: str) -> dict[str, Any]:
    """The columns of a forecast."""
    return {"run_id": run_id, **dataclasses.asdict(forecast)}


def forecast_record(row: Forecast) -> ForecastRecord:
    """The record of a forecast."""
    return ForecastRecord(**{field.name: getattr(row, field.name) for field in dataclasses.fields(ForecastRecord)})


def event_record(event: Event) -> EventRecord:
    """The record of an event."""
    return EventRecord(id=event.id, job_id=event.job_id, kind=event.kind, data=event.data, at=event.at)


def log_chunk(chunk: models.LogChunk) -> LogChunk:
    """The record of a log chunk."""
    return LogChunk(seq=chunk.seq, attempt=chunk.attempt, text=chunk.text, at=chunk.at)


def worker_record(worker: Worker, *, runs: Sequence[str], alive: bool) -> WorkerRecord:
    """The record of a worker and its leased runs."""
    return WorkerRecord(
        name=worker.name,
        device=worker.device,
        device_kind=worker.device_kind,
        device_model=worker.device_model,
        devices=worker.devices,
        memory_bytes=worker.memory_bytes,
        workloads=dict(worker.workloads),
        reserved_for=worker.reserved_for,
        draining=worker.draining,
        runs=tuple(runs),
        started_at=worker.started_at,
        heartbeat_at=worker.heartbeat_at,
        alive=alive,
    )


def info_json(info: WorkloadInfo) -> dict[str, Any]:
    """A workload's description as JSON."""
    return as_json(dataclasses.asdict(info) | {"metric": info.metric.model_dump()}, field=f"workload {info.name!r}")


def workload_info(workload: Workload) -> WorkloadInfo:
    """A workload's description, from its row."""
    stored = dict(workload.info)
    level = Level(stored.pop("level"))
    optimizer = OptimizerKind(stored.pop("optimizer"))
    training = TrainingKind(stored.pop("training", TrainingKind.SCRATCH))
    peak_lr = {kind: (low, high) for kind, (low, high) in stored.pop("peak_lr").items()}
    metric = Metric.model_validate(stored.pop("metric"))
    return WorkloadInfo(level=level, optimizer=optimizer, training=training, peak_lr=peak_lr, metric=metric, **stored)


def as_json(value: dict[str, Any], *, field: str) -> dict[str, Any]:
    """Round-trip a value through JSON, so that both databases store the same.

    Raises:
        InvalidValue: It holds NaN, an infinity or a type that JSON lacks.
    """
    try:
        stored: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidValue(field, value=str(error), allowed="JSON with finite numbers") from error
    return stored


def finite_or_none(value: float | None) -> float | None:
    """The number, or ``None`` where JSON cannot represent it."""
    return value if value is not None and math.isfinite(value) else None


def clipped_text(text: str) -> str:
    """Escaped text, such as a user's traceback; of a long one, the first and the last part."""
    clean = escaped_text(text)
    if len(clean) <= MAX_TEXT:
        return clean
    return f"{clean[: MAX_TEXT // 2]}\n[...]\n{clean[-MAX_TEXT // 2 :]}"


def _not_nan(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
