"""``/healthz`` and ``/readyz``: for supervisors and load balancers."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from tuner.errors import TunerError
from tuner_service.errors import NotReady
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import Resources, ResourcesDep

router = APIRouter(tags=["health"])

OK = "ok"


@dataclass(frozen=True, kw_only=True)
class Health:
    """The process responds."""

    status: str = OK


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """The service can serve requests."""

    checks: dict[str, str]
    """Result of each check; all are ``"ok"``."""


@router.get("/healthz", summary="Check liveness")
async def get_health() -> Health:
    """Responds as long as the process runs; it checks nothing else."""
    return Health()


@router.get(
    "/readyz",
    summary="Check readiness",
    responses=problem_responses(catalog.NOT_READY),
)
def get_readiness(resources: ResourcesDep) -> Readiness:
    """The database responds, its schema is of this version, and the reaper runs."""
    checks = {
        **_database(resources),
        "reaper": OK if resources.reaper.alive else "it has died; restart the service",
    }
    if any(result != OK for result in checks.values()):
        raise NotReady(checks)
    return Readiness(checks=checks)


def _database(resources: Resources) -> dict[str, str]:
    try:
        resources.store.now()
        current = resources.store.is_current()
    except TunerError:  # the operation is public, and the reason names hosts: the store logs it
        return {"database": "it does not respond; the service's log has the reason", "schema": "unknown"}
    return {"database": OK, "schema": OK if current else "of another version; run `tuner db upgrade`"}
