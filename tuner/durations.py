"""Durations in the settings of the service and of the workers: seconds, or ISO 8601."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _read(value: Any) -> Any:
    """Read a bare number as seconds, also where it comes as text; leave ISO 8601 (``PT30S``) to pydantic."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Duration = Annotated[timedelta, Field(gt=timedelta(0)), BeforeValidator(_read)]
"""A time above 0: ``30``, ``"30"`` and ``"PT30S"`` are half a minute.

Example:
    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(Duration).validate_python("30") == TypeAdapter(Duration).validate_python("PT30S")
    True
"""
