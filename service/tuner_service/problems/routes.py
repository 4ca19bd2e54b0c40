"""``/problems``: a page about each problem type, for people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse

from tuner.errors import NotFound
from tuner_service.problems import catalog
from tuner_service.problems.rendering import page, problem_responses

router = APIRouter(tags=["problems"])


@router.get(
    "/problems/{slug}",
    summary="Explain a problem type",
    response_class=HTMLResponse,
    responses=problem_responses(catalog.NOT_FOUND, catalog.INVALID_REQUEST),
)
def explain_problem(slug: Annotated[str, Path(max_length=100, description="Last part of a problem's `type`.")]) -> str:
    """A page for people: the causes of the problem, what to do about it, and its members."""
    kind = catalog.CATALOG.get(slug)
    if kind is None:
        raise NotFound("problem", key=slug, hint=f"There are: {', '.join(catalog.CATALOG)}")
    return page(kind)
