"""Problem responses (RFC 9457): their schema, the response, and the page about a problem type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from tuner_service.problems.catalog import CATALOG, ProblemType

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """The schema of every error of the API. Each type adds members of its own, which its page lists."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Path of the page that explains this kind of problem; stable.")
    title: str = Field(description="What kind of problem it is; the same for every occurrence.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What happened this time.")
    instance: str = Field(description="The request, as a URN; the service's log lines carry its id.")


def problem_response(
    kind: ProblemType,
    *,
    detail: str,
    request_id: str,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Build the response for one occurrence of a problem.

    Args:
        kind: Which kind of problem it is.
        detail: What happened this time, and what to do.
        request_id: The id of the request, a UUID.
        members: Extension members.
        headers: Further headers of the response.
    """
    body = {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": f"urn:uuid:{request_id}",
        **(members or {}),
    }
    return JSONResponse(body, status_code=kind.status, headers=headers, media_type=MEDIA_TYPE)


def problem_responses(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of an operation: the problems that it may respond with, by status."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        response = by_status.setdefault(kind.status, {"description": ""})
        line = f"[{kind.slug}]({kind.uri}): {kind.title}."
        response["description"] = f"{response['description']} {line}".strip()
    return by_status


def page(kind: ProblemType) -> str:
    """The HTML page about one problem type. Its text comes from the catalog."""
    members = "".join(f"<dt><code>{name}</code></dt><dd>{text}</dd>" for name, text in kind.members.items())
    others = "".join(f'<li><a href="{other.uri}">{other.title}</a></li>' for other in CATALOG.values())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{kind.title}</title>"
        "<style>body{font:16px/1.5 system-ui;max-width:42rem;margin:3rem auto;padding:0 1rem}"
        "dt{margin-top:.5rem}</style></head><body>"
        f"<h1>{kind.title}</h1><p>HTTP status {kind.status}, type <code>{kind.uri}</code></p>"
        f"<h2>Why it happens</h2><p>{kind.meaning}</p><h2>What to do</h2><p>{kind.remedy}</p>"
        + (f"<h2>Members of the response</h2><dl>{members}</dl>" if members else "")
        + f"<h2>All problems</h2><ul>{others}</ul></body></html>"
    )
