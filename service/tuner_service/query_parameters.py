"""Refuses unknown and repeated query parameters: ignoring a misspelled filter would return all objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tuner.errors import InvalidValue
from tuner.jobs.admission.strict_json import RefusedPayload, unknown_field


async def only_known_parameters(request: Request) -> None:
    """A dependency for every operation.

    Raises:
        InvalidValue: The query has a parameter that the operation does not have (the message lists the known ones), or
            has one twice that is no list: the framework would use the last value and ignore the others.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    is_list = dict(_parameters(route.dependant))
    for name, value in request.query_params.multi_items():
        if name not in is_list:
            loc = (name,)
            raise RefusedPayload(unknown_field(loc, loc=loc, known=tuple(is_list), value=value, kind="parameters"))
        values = request.query_params.getlist(name)
        if len(values) > 1 and not is_list[name]:
            raise InvalidValue(name, value=values, allowed="given once", hint="Leave out all but one of its values.")


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The query parameters of an operation and of its dependencies, and whether each may be repeated."""
    for parameter in dependant.query_params:
        yield parameter.alias, _accepts_list(parameter.field_info.annotation)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _accepts_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_accepts_list, get_args(annotation)))
