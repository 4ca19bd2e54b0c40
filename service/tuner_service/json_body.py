"""Request bodies, validated as strictly as they are documented."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from tuner.jobs.admission.strict_json import parse_strict
from tuner_service.errors import NotJson
from tuner_service.problems.handlers import PayloadRefused


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
