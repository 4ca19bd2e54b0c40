"""``/metrics``: figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from tuner_service.access import PrincipalDep
from tuner_service.errors import Forbidden
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared

router = APIRouter(tags=["metrics"])

_EXAMPLE = """# HELP tuner_jobs Jobs.
# TYPE tuner_jobs gauge
tuner_jobs{state="running",team="vision"} 3.0
"""


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses={
        **declared(catalog.FORBIDDEN),
        200: {"content": {"text/plain": {"example": _EXAMPLE}}},
    },
)
def read_metrics(request: Request, asking: PrincipalDep) -> Response:
    """The state of the whole queue in Prometheus' text format, for tokens that are not bound to a team.

    docs/metrics.md tells what each metric means. The figures are at most five seconds old.
    """
    if asking.team is not None:
        raise Forbidden(needed="a token that is not bound to a team")
    registry: CollectorRegistry = request.app.state.metrics
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)
