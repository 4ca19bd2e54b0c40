"""What every table shares: the base class, the naming of constraints, the types of columns."""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Integer, MetaData, String, Text
from sqlalchemy import Enum as EnumType
from sqlalchemy.orm import DeclarativeBase

PREFIX = "tuner_"
"""Tables with this prefix are ours; all others in the database are somebody else's."""

Id = String(36)
Name = String(200)
TeamName = String(100)
# SQLite numbers rows by itself only in a column of exactly this type.
Sequence = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """Every table of ours."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {float: Double, int: BigInteger, str: Text, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


def enum_type(enum: type[Enum]) -> EnumType:
    """A column of an enum's values: plain text, so that a new member needs no migration."""
    return EnumType(enum, native_enum=False, length=16, values_callable=lambda members: [m.value for m in members])
