"""``POST /v1/jobs``, its preview, and clones: what becomes of a request."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response

from tuner.errors import InvalidValue, TunerError
from tuner.jobs.admission.admit import JobRequest, admit, read_request
from tuner.jobs.admission.pricing import estimate
from tuner.jobs.admission.strict_json import request_digest
from tuner.jobs.progress import JobDetail
from tuner.jobs.records import JobRecord, Pace
from tuner.jobs.spec import DEFAULT_TEAM, JobSpec
from tuner.people.permissions import Actor, Principal, Role
from tuner.search.decision.rungs import price
from tuner.store import Store
from tuner_service.access import ActorDep, PrincipalDep, VisibleJob
from tuner_service.errors import Forbidden
from tuner_service.examples import DETAIL, JOB, answer
from tuner_service.jobs.preview import obstacle, queue_ahead
from tuner_service.jobs.schemas import (
    CLONE_EXAMPLES,
    SUBMIT_EXAMPLES,
    CloneRequest,
    IdempotencyKey,
    JobPreview,
    Obstacle,
)
from tuner_service.json_body import strictly
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/jobs", tags=["jobs"])

_BODY = declared(catalog.FORBIDDEN, catalog.BODY_TOO_LARGE, catalog.NOT_JSON)
_SUBMITTED = declared(catalog.NOT_FOUND, catalog.IDEMPOTENCY_CONFLICT, catalog.LIMIT_REACHED)
_MERGED = ("options", "resources", "limits", "search")
"""Parts of a request whose fields are overridden one by one."""


def _preview(spec: JobSpec, *, paces: tuple[Pace, ...], would_refuse: tuple[Obstacle, ...], ahead: int) -> JobPreview:
    return JobPreview(
        spec=spec,
        price=price(spec.search),
        estimate=estimate(spec, paces=paces),
        would_refuse=would_refuse,
        queue_ahead=ahead,
    )


_PACE = Pace(workload="digits-mlp", version="1", device_model="NVIDIA L4", seconds_per_update=0.002, updates=90_000)
_LIMIT = Obstacle(
    field=None, limit="max_open_jobs", message="max_open_jobs of team vision allows 4, and this would make it 5"
)
_PREVIEWED = _preview(JOB.spec, paces=(_PACE,), would_refuse=(_LIMIT,), ahead=3)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Submit a job",
    responses=_BODY | _SUBMITTED | answer(DETAIL, status=HTTPStatus.CREATED),
)
def submit_job(
    request: Annotated[JobRequest, strictly(JobRequest), Body(openapi_examples=SUBMIT_EXAMPLES)],
    response: Response,
    store: StoreDep,
    asking: PrincipalDep,
    by: ActorDep,
    idempotency_key: IdempotencyKey = None,
) -> JobDetail:
    """Ask for the best schedule of a workload.

    Only the workload must be given, and a worker must have announced it (`GET /v1/workloads`). What is left out is
    filled in, and the answer shows it: the job as stored leaves nothing open. It belongs to your team.
    """
    given = request.model_dump(mode="json", exclude_unset=True)
    job = _submitted(given, origin=None, store=store, asking=asking, by=by, key=idempotency_key)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return store.jobs.detail(job.id)


@router.post("/preview", summary="Preview a job", responses=_BODY | answer(_PREVIEWED))
def preview_job(
    request: Annotated[JobRequest, strictly(JobRequest), Body(openapi_examples=SUBMIT_EXAMPLES)],
    store: StoreDep,
    asking: PrincipalDep,
    by: ActorDep,
) -> JobPreview:
    """What a job would be and cost, and what would refuse it, were it submitted now. Nothing is stored.

    The price is an upper bound. Device time is what the workload was measured to take in its present version; there is
    none before its first runs.
    """
    team = _team(request.team, asking=asking)
    nothing = JobPreview(spec=None, price=None, estimate=None, would_refuse=(), queue_ahead=0)
    try:
        _check_may_submit(asking, team=team)
        spec = admit(request, workloads=store.workers.workloads(), team=team)
    except (Forbidden, InvalidValue) as error:
        return JobPreview(**vars(nothing) | {"would_refuse": (obstacle(error),)})
    refused: tuple[TunerError, ...] = store.jobs.submission_errors(spec, by=by)
    version = store.workers.workload(spec.workload).version
    return _preview(
        spec,
        paces=store.queue.paces(spec.workload, version),
        would_refuse=tuple(map(obstacle, refused)),
        ahead=queue_ahead(store.queue.view(), shares=store.queue.shares(), team=team, priority=spec.priority),
    )


@router.post(
    "/{job_id}/clone",
    status_code=HTTPStatus.CREATED,
    summary="Clone a job",
    responses=_BODY | _SUBMITTED | answer(DETAIL, status=HTTPStatus.CREATED),
)
def clone_job(
    job: VisibleJob,
    response: Response,
    store: StoreDep,
    asking: PrincipalDep,
    by: ActorDep,
    changes: Annotated[CloneRequest, strictly(CloneRequest), Body(openapi_examples=CLONE_EXAMPLES)] = CloneRequest(),  # noqa: B008 (frozen)
    idempotency_key: IdempotencyKey = None,
) -> JobDetail:
    """Submit a job like another one, with what the body says changed.

    The request is the other job's as stored, admitted anew: what the workers offer now counts. The body may be absent.
    The new job is yours, in your team, and private unless you share it.
    """
    given = _overridden(job, changes=changes, asking=asking)
    clone = _submitted(given, origin=job.id, store=store, asking=asking, by=by, key=idempotency_key)
    response.headers["Location"] = f"/v1/jobs/{clone.id}"
    return store.jobs.detail(clone.id)


def _submitted(
    given: Mapping[str, Any], *, origin: str | None, store: Store, asking: Principal, by: Actor, key: str | None
) -> JobRecord:
    """Store a request, or find the job that it has become already."""
    team = _team(given.get("team"), asking=asking)
    _check_may_submit(asking, team=team)
    digest = None if key is None else request_digest({**given, "origin": origin})
    if key is not None and digest is not None:
        earlier = store.jobs.find_repeated(team, idempotency_key=key, request_digest=digest)
        if earlier is not None:
            return earlier
    spec = admit(read_request(given), workloads=store.workers.workloads(), team=team)
    return store.jobs.submit(spec, by=by, idempotency_key=key, request_digest=digest, origin=origin)


def _team(asked: str | None, *, asking: Principal) -> str:
    return asked or asking.team or DEFAULT_TEAM


def _check_may_submit(asking: Principal, *, team: str) -> None:
    if not asking.may_submit_for(team):
        raise Forbidden(needed=f"the role {Role.SUBMITTER.value} in team {team}")


def _overridden(job: JobRecord, *, changes: CloneRequest, asking: Principal) -> dict[str, Any]:
    """A job's request with changes, as it could have been sent."""
    stored = job.spec.model_dump(mode="json") | {"team": asking.team or job.spec.team, "shared": False}
    for name, value in changes.model_dump(mode="json", exclude_unset=True).items():
        if value is None:
            stored.pop(name)
        elif name in _MERGED:
            stored[name] = _without_null({**stored[name], **value}, of=value)
        else:
            stored[name] = value
    return stored


def _without_null(merged: dict[str, Any], *, of: Mapping[str, Any]) -> dict[str, Any]:
    """What was overridden with ``null`` is left to the default."""
    return {name: value for name, value in merged.items() if value is not None or name not in of}
