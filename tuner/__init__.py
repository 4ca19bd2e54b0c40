"""Schedule Tuner: finds the learning-rate schedule that a model should train with.

``import tuner`` is cheap: no torch, no database, no web code is loaded until a name that needs them is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from tuner.local import StudyFailed as StudyFailed
    from tuner.local import tune as tune
    from tuner.schedules import Schedule as Schedule
    from tuner.schedules import Warmup as Warmup

_HOMES = {
    "Schedule": "tuner.schedules",
    "StudyFailed": "tuner.local",
    "Warmup": "tuner.schedules",
    "tune": "tuner.local",
}

__all__ = ["Schedule", "StudyFailed", "Warmup", "__version__", "tune"]


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("schedule-tuner")
    if name not in _HOMES:
        raise AttributeError(f"module 'tuner' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
