"""Refuses unknown query parameters: ignoring a misspelled filter would return all objects."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tuner.jobs.admission.strict_json import RefusedPayload, unknown_field


async def only_known_parameters(request: Request) -> None:
    """A dependency for every operation.

    Raises:
        InvalidValue: The query has a parameter that the operation does not have; the message lists the known ones.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = tuple(dict.fromkeys(_names(route.dependant)))
    for name, value in request.query_params.multi_items():
        if name not in known:
            loc = (name,)
            raise RefusedPayload(unknown_field(loc, loc=loc, known=known, value=value, kind="parameters"))


def _names(dependant: Dependant) -> Iterator[str]:
    """The query parameters of an operation and of its dependencies."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)
