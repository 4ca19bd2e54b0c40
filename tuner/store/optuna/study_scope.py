"""The studies that one request may see, passed to `StudyView` in a context variable. Imports no Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class StudyScope:
    """The studies and attributes that one request may see."""

    titles: Mapping[str, str]
    """Display names by the name in the storage; other studies are hidden."""
    study: str | None = None
    """Only this study; the others are not read."""
    attributes: Mapping[str, Any] | None = None
    """Added to that study's system attributes."""
    best: int | None = None
    """Optuna's id of the trial of that study that its job recommends."""


_SCOPE: ContextVar[StudyScope] = ContextVar("study_scope")


@contextmanager
def use_scope(scope: StudyScope) -> Iterator[None]:
    """Apply a scope inside the block, also in threads that run in a copy of its context."""
    token = _SCOPE.set(scope)
    try:
        yield
    finally:
        _SCOPE.reset(token)


def current_scope() -> StudyScope:
    """The scope of the current context.

    Raises:
        LookupError: No `use_scope` is active.
    """
    return _SCOPE.get()
