"""``/healthz`` and ``/readyz``: for supervisors and load balancers."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from tuner_service.errors import NotReady
from tuner_service.health.database import OK
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import ResourcesDep

router = APIRouter(tags=["health"])


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
async def get_readiness(resources: ResourcesDep) -> Readiness:
    """The database responds, its schema is of this version, and the reaper runs."""
    checks = {
        **await resources.readiness.value(),
        "reaper": OK if resources.reaper.alive else "it has died; restart the service",
    }
    if any(result != OK for result in checks.values()):
        raise NotReady(checks)
    return Readiness(checks=checks)
