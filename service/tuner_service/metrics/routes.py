"""``/metrics``: metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from tuner_service.access import PrincipalDep
from tuner_service.errors import Forbidden
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses

router = APIRouter(tags=["metrics"])


@router.get(
    "/metrics",
    summary="Scrape metrics",
    response_class=PlainTextResponse,
    responses=problem_responses(catalog.FORBIDDEN),
)
def get_metrics(request: Request, principal: PrincipalDep) -> Response:
    """The state of the whole queue in Prometheus' text format, for tokens that are not bound to a team.

    docs/metrics.md describes each metric. The values are at most five seconds old.
    """
    if principal.team is not None:
        raise Forbidden(needed="a token that is not bound to a team")
    registry: CollectorRegistry = request.app.state.metrics
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)
