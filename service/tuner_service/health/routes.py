"""``/healthz`` and ``/readyz``: for supervisors and load balancers."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from fastapi import APIRouter

from tuner.errors import TunerError
from tuner_service.errors import NotReady
from tuner_service.examples import answer
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import Resources, ResourcesDep

log = structlog.get_logger(__name__)
router = APIRouter(tags=["health"])

OK = "ok"


@dataclass(frozen=True, kw_only=True)
class Health:
    """The service runs."""

    status: str = OK


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """The service can do its work."""

    checks: dict[str, str]
    """What was looked at; all are ``"ok"``."""


@router.get("/healthz", summary="Whether the service runs", responses=answer(Health()))
async def healthz() -> Health:
    """Answers as long as the process does; looks at nothing else."""
    return Health()


@router.get(
    "/readyz",
    summary="Whether the service can work",
    responses=declared(catalog.NOT_READY)
    | answer(Readiness(checks=dict.fromkeys(("database", "schema", "reaper"), OK))),
)
def readyz(resources: ResourcesDep) -> Readiness:
    """The database answers, its schema is of this version, and the reaper runs."""
    checks = {
        **_database(resources),
        "reaper": OK if resources.reaper.alive else "it has died; restart the service",
    }
    if any(found != OK for found in checks.values()):
        raise NotReady(checks)
    return Readiness(checks=checks)


def _database(resources: Resources) -> dict[str, str]:
    try:
        resources.store.now()
        current = resources.store.is_current()
    except TunerError as error:
        log.warning("readiness.database", reason=str(error))  # anybody may ask, and it names hosts
        return {"database": "it does not answer; the service's log tells why", "schema": "unknown"}
    return {"database": OK, "schema": OK if current else "of another version; run `tuner db upgrade`"}
