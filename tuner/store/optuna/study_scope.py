"""Which studies one request may see, carried along to the view that it reads through. Knows no Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class StudyScope:
    """What one request may see."""

    titles: Mapping[str, str]
    """What to call each study, by its name in the storage; those that are not among them are not seen."""
    study: str | None = None
    """Only this one; the others need not be read then."""
    attributes: Mapping[str, Any] | None = None
    """Added to that study's system attributes."""


_SCOPE: ContextVar[StudyScope] = ContextVar("look")


@contextmanager
def use_scope(look: StudyScope) -> Iterator[None]:
    """Have the view show this to whatever runs inside the block, also in the threads that it is handed on to."""
    token = _SCOPE.set(look)
    try:
        yield
    finally:
        _SCOPE.reset(token)


def current_scope() -> StudyScope:
    """What may be seen here and now.

    Raises:
        LookupError: It is asked for outside of `use_scope`.
    """
    return _SCOPE.get()
