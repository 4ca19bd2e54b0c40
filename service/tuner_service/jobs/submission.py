"""``POST /v1/jobs``, its preview, and clones: admission of new jobs."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Response

from tuner.api.jobs import CloneRequest, JobDetail, JobPreview
from tuner.errors import InvalidValue, TunerError
from tuner.jobs.admission.admit import JobRequest, admit, fresh_seed, read_request
from tuner.jobs.admission.pricing import estimate
from tuner.jobs.admission.strict_json import request_digest
from tuner.jobs.records import JobRecord
from tuner.jobs.spec import DEFAULT_TEAM
from tuner.people.permissions import Actor, Principal, Role
from tuner.store import Store
from tuner_service.access import ActorDep, PrincipalDep, VisibleJob
from tuner_service.errors import Forbidden
from tuner_service.jobs.parameters import IdempotencyKey
from tuner_service.jobs.preview import jobs_ahead, to_refusal
from tuner_service.json_body import StrictRoute, strict_body
from tuner_service.limits.expensive import EXPENSIVE
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=StrictRoute)

_BODY = problem_responses(catalog.FORBIDDEN, catalog.BODY_TOO_LARGE, catalog.NOT_JSON)
_SUBMISSION = problem_responses(catalog.NOT_FOUND, catalog.IDEMPOTENCY_CONFLICT, catalog.LIMIT_REACHED)
_MERGED = ("options", "resources", "limits", "search")
"""Parts of a request whose fields are overridden one by one."""


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Submit a job",
    dependencies=[EXPENSIVE],
    responses=_BODY | _SUBMISSION,
)
def submit_job(
    request: Annotated[JobRequest, strict_body(JobRequest)],
    response: Response,
    store: StoreDep,
    principal: PrincipalDep,
    actor: ActorDep,
    idempotency_key: IdempotencyKey = None,
) -> JobDetail:
    """Start a search for the best schedule of a workload.

    Only the workload is required, and a worker must have announced it (`GET /v1/workloads`). The service fills in
    every absent field, and the response shows the result: the stored job leaves nothing open. It belongs to your team.
    """
    body = request.model_dump(mode="json", exclude_unset=True)
    job = _submit(body, origin=None, store=store, principal=principal, actor=actor, key=idempotency_key)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobDetail.of_status(store.jobs.status(job.id))


@router.post(
    "/preview",
    summary="Preview a job: validation errors, cost, queue position",
    dependencies=[EXPENSIVE],
    responses=_BODY,
)
def preview_job(
    request: Annotated[JobRequest, strict_body(JobRequest)],
    store: StoreDep,
    principal: PrincipalDep,
    actor: ActorDep,
) -> JobPreview:
    """Validates a job and computes its cost and queue position without submitting it. Nothing is stored.

    The cost is an upper bound. The device time comes from measurements of the workload's current version; there is
    none before its first runs.
    """
    refused = JobPreview(spec=None, estimate=None, refusals=(), jobs_ahead=0, would_wait=None)
    try:
        team = _team(request.team, principal=principal, store=store)
        _check_may_submit(principal, team=team)
        _check_team(store, team=team)
        spec = admit(request, workloads=store.workers.workloads(), team=team, seed=fresh_seed())
    except (Forbidden, InvalidValue) as error:
        return JobPreview(**vars(refused) | {"refusals": (to_refusal(error),)})
    limits: tuple[TunerError, ...] = store.jobs.submission_errors(spec, by=actor)
    version = store.workers.workload(spec.workload).version
    return JobPreview(
        spec=spec,
        estimate=estimate(spec, paces=store.queue.paces(spec.workload, version)),
        refusals=tuple(map(to_refusal, limits)),
        jobs_ahead=jobs_ahead(store.queue.view(), shares=store.queue.shares(), team=team, priority=spec.priority),
        would_wait=store.queue.obstacle(spec, owner=actor.user),
    )


@router.post(
    "/{job_id}/clone",
    status_code=HTTPStatus.CREATED,
    summary="Clone a job",
    dependencies=[EXPENSIVE],
    responses=_BODY | _SUBMISSION,
)
def clone_job(
    job: VisibleJob,
    response: Response,
    store: StoreDep,
    principal: PrincipalDep,
    actor: ActorDep,
    changes: Annotated[CloneRequest, strict_body(CloneRequest)] = CloneRequest(),  # noqa: B008 (frozen)
    idempotency_key: IdempotencyKey = None,
) -> JobDetail:
    """Submit a copy of a job with the changes of the body, which may be absent.

    The copied request is that of the stored job. The service admits it again, against the workloads that the workers
    offer now. The new job is yours, in your team, and private unless you share it.
    """
    body = _overridden(job, changes=changes, principal=principal)
    clone = _submit(body, origin=job.id, store=store, principal=principal, actor=actor, key=idempotency_key)
    response.headers["Location"] = f"/v1/jobs/{clone.id}"
    return JobDetail.of_status(store.jobs.status(clone.id))


def _submit(
    body: Mapping[str, Any], *, origin: str | None, store: Store, principal: Principal, actor: Actor, key: str | None
) -> JobRecord:
    """Stores a request as a job, or finds the job that an earlier request with the same key became."""
    team = _team(body.get("team"), principal=principal, store=store)
    _check_may_submit(principal, team=team)
    digest = None if key is None else request_digest({**body, "origin": origin})
    if key is not None and digest is not None:
        earlier = store.jobs.find_repeated(team, idempotency_key=key, request_digest=digest)
        if earlier is not None:
            return earlier
    _check_team(store, team=team)
    spec = admit(read_request(body), workloads=store.workers.workloads(), team=team, seed=fresh_seed())
    return store.jobs.submit(spec, by=actor, idempotency_key=key, request_digest=digest, origin=origin)


def _team(requested: str | None, *, principal: Principal, store: Store) -> str:
    """The team of a job: the one that is named, or the caller's; without a login, the only one that there is.

    Raises:
        InvalidValue: None is named, and there are several.
    """
    named = requested or principal.team
    if named is not None:
        return named
    known = [team.name for team in store.people.teams()]
    if not known or DEFAULT_TEAM in known:
        return DEFAULT_TEAM
    if len(known) > 1:
        raise InvalidValue("team", value=None, allowed=f"one of {', '.join(known)}: there is no login to know yours by")
    return known[0]


def _check_may_submit(principal: Principal, *, team: str) -> None:
    if not principal.may_submit_for(team):
        raise Forbidden(needed=f"the role {Role.SUBMITTER.value} in team {team}")


def _check_team(store: Store, *, team: str) -> None:
    """Refuse a named team where none exists; where teams exist, storing the job refuses an unknown one."""
    if team != DEFAULT_TEAM and not store.people.teams():
        hint = "An admin makes teams; `GET /v1/teams` lists them."
        raise InvalidValue("team", value=team, allowed=f"left out, or {DEFAULT_TEAM!r}: there are no teams", hint=hint)


def _overridden(job: JobRecord, *, changes: CloneRequest, principal: Principal) -> dict[str, Any]:
    """A job's request with changes, as a client could have sent it; its search gets a seed of its own."""
    before = None if job.spec.team == DEFAULT_TEAM else job.spec.team  # teams may have been made since then
    stored = job.spec.model_dump(mode="json") | {"team": principal.team or before, "shared": False}
    del stored["search"]["seed"]
    for name, value in changes.model_dump(mode="json", exclude_unset=True).items():
        if value is None:
            stored.pop(name)
        elif name in _MERGED:
            stored[name] = _without_null({**stored[name], **value}, overrides=value)
        else:
            stored[name] = value
    return stored


def _without_null(merged: dict[str, Any], *, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Drops the fields that are overridden with ``null``, so that they take their defaults."""
    return {name: value for name, value in merged.items() if value is not None or name not in overrides}
