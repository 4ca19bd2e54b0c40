"""The base class of all tables, the naming of constraints, and shared column types."""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Integer, MetaData, String, Text
from sqlalchemy import Enum as EnumType
from sqlalchemy.orm import DeclarativeBase

PREFIX = "tuner_"
"""Prefix of our tables; all others in the database belong to Optuna or to other programs."""

Id = String(36)
Name = String(200)
TeamName = String(100)
# SQLite assigns row numbers only in a column of type INTEGER.
Sequence = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """Base class of all tables."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        float: Double,
        int: BigInteger,
        str: Text,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[dict[str, Any]]: JSON,
    }


def enum_type(enum: type[Enum]) -> EnumType:
    """The column type of an enum: plain text, so that a new member needs no migration."""
    return EnumType(enum, native_enum=False, length=16, values_callable=lambda members: [m.value for m in members])
