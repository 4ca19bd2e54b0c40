"""What every test stands on: one thread per process, a Hypothesis that repeats itself, and log lines of its own."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator

# Before torch is imported anywhere: two test processes share two cores, and sums must not depend on the machine.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import pytest
import structlog
import typer.main
import typer.testing
from hypothesis import HealthCheck, settings

# Typer's runner builds the tree of commands at every call, which takes twenty times as long as most commands.
typer.testing._get_command = functools.cache(typer.main.get_command)  # type: ignore[attr-defined]

settings.register_profile(
    "suite", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(autouse=True)
def logs_go_where_they_went_before() -> Iterator[None]:
    """A test that starts a program in this process has its log lines sent to a stream that is closed after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configured = structlog.get_config() if structlog.is_configured() else None
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    if configured is not None:
        structlog.configure(**configured)
