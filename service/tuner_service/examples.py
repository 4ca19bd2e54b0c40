"""The job, the runs and the workers that the API's document shows: one story, told by the library's own values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi.encoders import jsonable_encoder

from tuner.devices import DeviceKind
from tuner.jobs.admission.admit import admit
from tuner.jobs.priority import Priority
from tuner.jobs.progress import BestSoFar, JobDetail, Progress, RunCounts, TrialCounts, links
from tuner.jobs.records import (
    EventRecord,
    JobRecord,
    Level,
    LogChunk,
    QueueEntry,
    RunKind,
    RunRecord,
    TeamShare,
    TrialRecord,
    WorkerRecord,
    WorkloadInfo,
)
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.schedules import Schedule, Warmup, Wsd
from tuner.search.decision.rungs import price, rung_schedule, rung_steps
from tuner.search.space import OptimizerKind

NULL: Final = "\N{SYMBOL FOR NULL}"
"""Stands for ``null`` in examples until the document is made: the framework leaves out what is ``None``."""

_JOB_ID: Final = "0197a3c2-5f1e-7c64-9d0b-8a4f2f6e1b3d"
_TRIAL_ID: Final = "0197a3c2-61aa-7f02-8e35-0c9d1c6a7e42"
_RUN_ID: Final = "0197a3c2-61ab-7b11-b1f7-52d3a9e4c8f0"
_TIME: Final = 1_767_225_600.0

REQUEST: Final[dict[str, Any]] = {
    "workload": "digits-mlp",
    "name": "first look",
    "search": {"total_steps": 600, "trials": 12, "rungs": 3, "finalists": 2, "confirm_seeds": 3},
}
WORKLOAD: Final = WorkloadInfo(
    name="digits-mlp",
    version="1",
    level=Level.DECLARED,
    description="A small network on handwritten digits.",
    options_schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {"width": {"type": "integer", "minimum": 1, "default": 64, "description": "Units per layer."}},
    },
    optimizer_option=None,
    optimizer=OptimizerKind.SGD,
    default_steps=2_000,
    peak_lr={"sgd": (0.01, 1.0)},
)
_SPEC: Final = admit(REQUEST, workloads=[WORKLOAD], team="vision")
_PRICE: Final = price(_SPEC.search)
_STEPS: Final = rung_steps(_SPEC.search)
SCHEDULE: Final = Schedule(
    peak_lr=0.1, family=Wsd(cooldown=0.4, shape="1-sqrt"), warmup=Warmup(shape="linear", fraction=0.05)
)

JOB: Final = JobRecord(
    id=_JOB_ID,
    state=JobState.RUNNING,
    spec=_SPEC,
    owner="ada",
    origin=None,
    created_at=_TIME,
    started_at=_TIME + 2,
    finished_at=None,
    error=None,
    updates_spent=_STEPS[0],
    updates_saved=0,
    device_seconds=3.5,
    limit_reached=None,
    plan_due=False,
)
DETAIL: Final = JobDetail(
    **vars(JOB),
    progress=Progress(
        trials=TrialCounts(planned=12, opened=12, pruned=0, completed=0, failed=0),
        rungs=tuple(
            RunCounts(
                updates=updates,
                done=1 if rung == 0 else 0,
                running=1 if rung == 0 else 0,
                queued=10 if rung == 0 else 0,
                total=_PRICE.rung_runs[rung],
            )
            for rung, updates in enumerate(_STEPS)
        ),
        audits=RunCounts(updates=_STEPS[-1], done=0, running=0, queued=0, total=_PRICE.audit_runs),
        confirmations=RunCounts(updates=_STEPS[-1], done=0, running=0, queued=0, total=_PRICE.confirm_runs),
        best=BestSoFar(trial=7, label=SCHEDULE.label, loss=0.31, rung=0, updates=_STEPS[0]),
        updates_spent=_STEPS[0],
        updates_expected=_PRICE.updates,
        fraction=round(_STEPS[0] / _PRICE.updates, 4),
        seconds_left=None,
    ),
    price=_PRICE,
    links=links(JOB.id),
)
TRIAL: Final = TrialRecord(
    id=_TRIAL_ID,
    job_id=_JOB_ID,
    number=7,
    optuna_number=7,
    cohort=0,
    control=None,
    state=TrialState.ACTIVE,
    schedule=SCHEDULE,
    options={},
    reason="the most promising after 6 results",
)
RUN: Final = RunRecord(
    id=_RUN_ID,
    job_id=_JOB_ID,
    trial_id=_TRIAL_ID,
    trial_number=7,
    kind=RunKind.RUNG,
    rung=0,
    seed=0,
    total_steps=_STEPS[0],
    schedule=rung_schedule(SCHEDULE, settings=_SPEC.search, rung=0),
    state=RunState.SUCCEEDED,
    reason="a new trial begins at the first rung",
    attempts=1,
    worker="gpu-3",
    step=_STEPS[0],
    updates=_STEPS[0],
    shared_updates=0,
    device_seconds=3.5,
    loss=0.31,
    error=None,
    stop_reason=None,
    created_at=_TIME + 2,
    queued_at=_TIME + 2,
    started_at=_TIME + 3,
    finished_at=_TIME + 6.5,
)
CHUNK: Final = LogChunk(seq=0, attempt=1, text="loading the digits\n", at=_TIME + 3)
EVENT: Final = EventRecord(
    id=42, job_id=_JOB_ID, kind="run.succeeded", data={"run_id": _RUN_ID, "trial": 7, "loss": 0.31}, at=_TIME + 6.5
)
ENTRY: Final = QueueEntry(
    job_id=_JOB_ID,
    name=_SPEC.name,
    team=_SPEC.team,
    owner=JOB.owner,
    priority=Priority.NORMAL,
    state=JobState.RUNNING,
    position=4,
    running_runs=1,
    reason="behind 3 jobs of team speech",
    waiting_seconds=12.0,
)
SHARE: Final = TeamShare(team="vision", weight=2.0, device_seconds=7200.0, share=0.4, running_runs=1, open_jobs=1)
WORKER: Final = WorkerRecord(
    name="gpu-3",
    device="cuda:0",
    device_kind=DeviceKind.CUDA,
    device_model="NVIDIA L4",
    devices=1,
    memory_bytes=24 * 2**30,
    workloads={"digits-mlp": "1"},
    reserved_for=None,
    draining=False,
    runs=(_RUN_ID,),
    started_at=_TIME - 3600,
    heartbeat_at=_TIME + 6,
    alive=True,
)


def answer(
    value: Any, *, status: HTTPStatus = HTTPStatus.OK, also: Mapping[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """What an operation gives as ``responses=`` to show an example of its answer.

    Args:
        value: The example, as the operation returns it.
        status: Of the answer.
        also: By media type, what the answer may be instead.
    """
    content = {"application/json": {"example": _marked(jsonable_encoder(value))}, **(also or {})}
    return {int(status): {"content": content}}


def with_nulls(example: Any) -> Any:
    """An example as it was meant: `NULL` within it stands for ``null``."""
    match example:
        case dict():
            return {name: with_nulls(value) for name, value in example.items()}
        case list():
            return [with_nulls(value) for value in example]
        case _:
            return None if example == NULL else example


def _marked(example: Any) -> Any:
    match example:
        case dict():
            return {name: _marked(value) for name, value in example.items()}
        case list():
            return [_marked(value) for value in example]
        case _:
            return NULL if example is None else example


def in_words(event: EventRecord) -> str:
    """An event as a stream tells it."""
    data = json.dumps(jsonable_encoder(event))
    return f"event: {event.kind}\ndata: {data}\nid: {event.id}\n\n"
