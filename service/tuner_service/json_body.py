"""Request bodies, read as strictly as they are documented."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from tuner.jobs.admission.strict_json import read_strictly
from tuner_service.errors import NotJson
from tuner_service.problems.handlers import PayloadRefused


def strictly(model: type[BaseModel]) -> BeforeValidator:
    """Have a body parameter read as strictly as its model says.

    The framework alone would take ``true`` for 1 and ``"3"`` for 3.

    Args:
        model: The body's model.
    """

    def read(value: Any) -> BaseModel:
        if isinstance(value, bytes):  # the framework hands over what it did not take for JSON
            raise NotJson
        try:
            return read_strictly(model, value)
        except ValidationError as error:
            raise PayloadRefused(error.errors(include_url=False), model=model) from None

    return BeforeValidator(read)
