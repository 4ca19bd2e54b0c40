"""``/problems``: what each kind of error means and what to do about it, for people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse

from tuner.errors import NotFound
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared, page

router = APIRouter(tags=["problems"])


@router.get(
    "/problems/{slug}",
    summary="Explain a kind of problem",
    response_class=HTMLResponse,
    responses=declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST)
    | {200: {"content": {"text/html": {"example": "<!doctype html><title>There is no such thing</title>..."}}}},
)
def explain_problem(slug: Annotated[str, Path(max_length=100, description="Last part of a problem's `type`.")]) -> str:
    """A page for people: why this kind of problem happens, what to do, and what its members hold."""
    kind = catalog.CATALOG.get(slug)
    if kind is None:
        raise NotFound("problem", key=slug, hint=f"There are: {', '.join(catalog.CATALOG)}")
    return page(kind)
