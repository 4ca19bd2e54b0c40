"""Request bodies, validated as strictly as they are documented."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ValidationError

from tuner.jobs.admission.json_text import read_json
from tuner.jobs.admission.strict_json import parse_strict
from tuner_service.errors import NotJson
from tuner_service.problems.handlers import PayloadRefused


class _StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        """The value of the body.

        Raises:
            InvalidValue: It is no JSON, or a key stands in it twice.
        """
        return read_json(await self.body())


class StrictRoute(APIRoute):
    """The route of a JSON body: the framework alone would say of most bad ones that they cannot be parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, for the framework."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


def strict_body(model: type[BaseModel]) -> BeforeValidator:
    """Annotates a body parameter whose model is validated in strict mode.

    The framework alone would convert ``true`` to 1 and ``"3"`` to 3.

    Args:
        model: The body's model.
    """

    def read(value: Any) -> BaseModel:
        if isinstance(value, bytes):  # the framework passes a body that is not declared as JSON on as bytes
            raise NotJson
        try:
            return parse_strict(model, value)
        except ValidationError as error:
            raise PayloadRefused(error.errors(include_url=False), model=model) from None

    return BeforeValidator(read)
