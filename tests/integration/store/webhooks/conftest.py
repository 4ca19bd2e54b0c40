from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Sql = Callable[..., list[Any]]


@pytest.fixture
def add_team(sql: Sql) -> Callable[[str], None]:
    def add(name: str) -> None:
        sql("INSERT INTO tuner_teams (name, settings, created_at) VALUES (:name, '{}', 1.0)", name=name)

    return add


@pytest.fixture
def pass_time(sql: Sql) -> Callable[[float], None]:
    """Let so many seconds go by, as far as deliveries are concerned."""

    def pass_time(seconds: float) -> None:
        sql("UPDATE tuner_deliveries SET due_at = due_at - :seconds", seconds=seconds)

    return pass_time
