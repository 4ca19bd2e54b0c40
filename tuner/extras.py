"""The extras of the distribution: which modules each brings, and which of them this installation lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from tuner.errors import TunerError

MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "service": (
        "fastapi",
        "uvicorn",
        "a2wsgi",
        "itsdangerous",
        "limits",
        "optuna_dashboard",
        "prometheus_client",
        "pydantic_settings",
        "python_multipart",
        "standardwebhooks",
        "structlog",
    ),
    "worker": ("torch", "sklearn", "prometheus_client", "psutil", "pydantic_settings", "pynvml", "structlog"),
    "postgres": ("psycopg",),
}
"""What an extra installs, the telling module first; `pyproject.toml` names the distributions."""
_SHOWN = 3


class ExtraMissing(TunerError, ModuleNotFoundError):
    """Packages of an extra are not installed.

    It is a ``ModuleNotFoundError`` too, so that a public name may raise it when it is imported.

    Args:
        user: What needs them: ``"tuner up"``.
        modules: The modules that are missing.
        extras: The extras that bring them.
    """

    def __init__(self, user: str, *, modules: tuple[str, ...], extras: tuple[str, ...]) -> None:
        self.user = user
        self.modules = modules
        self.extras = extras
        wanted = "all" if {"service", "worker"} <= set(extras) else ",".join(extras)
        names = ", ".join(modules[:_SHOWN]) + (", ..." if len(modules) > _SHOWN else "")
        super().__init__(
            f"{user} needs packages that are not installed ({names}). "
            f"Install them: pip install 'schedule-tuner[{wanted}]'"
        )


def require(*extras: str, user: str) -> None:
    """Check that extras are installed; imports nothing of them.

    Args:
        extras: Their names.
        user: What needs them, for the message.

    Raises:
        ExtraMissing: A module of one of them is not installed.
    """
    missing = {extra: tuple(name for name in MODULES[extra] if not _is_installed(name)) for extra in extras}
    lacking = tuple(extra for extra, names in missing.items() if names)
    if lacking:
        modules = tuple(dict.fromkeys(name for extra in lacking for name in missing[extra]))
        raise ExtraMissing(user, modules=modules, extras=lacking)


def extra_missing(error: ModuleNotFoundError, *, user: str) -> ExtraMissing | None:
    """The extra that would bring a module that could not be imported; ``None`` when none does."""
    module = (error.name or "").partition(".")[0]
    extras = tuple(extra for extra, names in MODULES.items() if module in names)
    return ExtraMissing(user, modules=(module,), extras=extras[:1]) if extras else None


@contextmanager
def explained(*, user: str) -> Iterator[None]:
    """Imports inside it that lack an extra's module end with the error that names the extra.

    Args:
        user: What needs the modules, for the message.

    Raises:
        ExtraMissing: A module of an extra could not be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = extra_missing(error, user=user)
        if missing is None:
            raise
        raise missing from error


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
