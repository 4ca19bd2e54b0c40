"""Converts a stored record to the wire type that shares its fields."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    View = TypeVar("View", bound=DataclassInstance)


def view_of(kind: type[View], record: object, **more: Any) -> View:
    """Copy the fields that a wire type shares with a record.

    Args:
        kind: The wire type, a dataclass.
        record: Has an attribute for each of its fields, except those in ``more``.
        **more: Fields that the record does not have.
    """
    shared = {field.name: getattr(record, field.name) for field in fields(kind) if field.name not in more}
    return kind(**shared, **more)
