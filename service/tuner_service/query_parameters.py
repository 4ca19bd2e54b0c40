"""Query parameters that an operation does not have are refused, not passed over: a misspelled filter would show all."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tuner.jobs.admission.strict_json import RefusedPayload, unknown_field


async def only_known_parameters(request: Request) -> None:
    """A dependency for every operation.

    Raises:
        InvalidValue: The query has a parameter that the operation does not; the message lists those that it has.
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
    """Of the operation, and of everything that it depends on."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)
