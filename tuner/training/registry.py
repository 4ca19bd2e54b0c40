"""Finds workloads: built-in ones, those of installed packages, and those that the operator of a worker names."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from tuner.errors import InvalidValue, TunerError, WorkloadError
from tuner.training.commands.command import read_command_file
from tuner.training.workload import Workload, describe

ENTRY_POINTS = "schedule_tuner.workloads"
"""Group under which an installed package names its workloads, as ``module:Class`` or ``module:function``."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LoadedWorkloads:
    """Workloads, and why others could not be loaded."""

    workloads: dict[str, Workload] = field(default_factory=dict)
    """By name."""
    refused: tuple[str, ...] = ()
    """One line for each entry point that cannot be used: its name, its package and the reason."""


def load_provider(provider: str) -> dict[str, Workload]:
    """The workloads of one provider, by name.

    Args:
        provider: ``"module:Class"`` of one workload, ``"module:function"`` of a function that takes nothing and gives
            workloads (one, several, or a mapping by name), or the path of a ``.toml`` file that describes a command.

    Raises:
        InvalidValue: It is not written so, or there is no such name in the module.
        WorkloadError: What it names gives something else than workloads, or one that breaks the contract, or a module
            that it imports is not installed.
        OSError: There is no such file.
        BaseException: Any error of importing the module.
    """
    if provider.endswith(".toml"):
        return _by_name(read_command_file(Path(provider)), origin=provider)
    module, colon, name = provider.partition(":")
    if not (colon and module and name):
        raise InvalidValue("workloads", value=provider, allowed="module:Class, module:function or a .toml file")
    try:
        home = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise _missing_module(error, provider=provider) from error
    try:
        made = getattr(home, name)
    except AttributeError:
        known = sorted(key for key, value in vars(home).items() if _is_workload_class(value))
        hint = f"Workloads in {module}: {', '.join(known) or 'none'}"
        raise InvalidValue(
            "workloads", value=provider, allowed=f"the name of something in {module}", hint=hint
        ) from None
    return _made(made, origin=provider)


def installed_workloads() -> LoadedWorkloads:
    """The workloads that installed packages name as entry points. One that cannot be used is logged and left out."""
    found: dict[str, Workload] = {}
    refused: list[str] = []
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value)):
        try:
            offered = _made(point.load(), origin=point.value)
            twice = sorted(found.keys() & offered.keys())
            if twice:
                raise WorkloadError(f"{', '.join(twice)} is offered by another entry point already")
            found |= offered
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a package that does not even import must not keep the others away
            refused.append(f"{_where(point)}: {type(error).__name__}: {error}")
            _log.warning("no workload from the entry point %s", refused[-1], exc_info=True)
    return LoadedWorkloads(workloads=found, refused=tuple(refused))


def load_workloads(providers: Sequence[str], *, builtin: str) -> LoadedWorkloads:
    """Everything that a worker offers: what is built in, what packages bring, and what its operator names.

    Where an installed package offers a name that is built in or named by the operator, it is left out.

    Args:
        providers: As for `load_provider`; what they name must load.
        builtin: The provider of the built-in ones.

    Raises:
        WorkloadError: Two providers offer the same name.
        BaseException: What `load_provider` raises.
    """
    workloads: dict[str, Workload] = {}
    for provider in (builtin, *providers):
        offered = load_provider(provider)
        twice = workloads.keys() & offered.keys()
        if twice:
            raise WorkloadError(f"{provider} offers {', '.join(sorted(twice))}, which another provider offers already")
        workloads |= offered
    installed = installed_workloads()
    return LoadedWorkloads(workloads={**installed.workloads, **workloads}, refused=installed.refused)


def _missing_module(error: ModuleNotFoundError, *, provider: str) -> TunerError:
    """The provider's own module is not there, or one that it imports."""
    module, missing = provider.partition(":")[0], error.name or ""
    if f"{module}.".startswith(f"{missing}."):
        where = f"There is no module {missing!r} in {os.getcwd()}, on PYTHONPATH or among the installed packages"
        return InvalidValue(
            "workloads", value=provider, allowed="module:Class of a module that Python finds", hint=where
        )
    return WorkloadError(f"{provider} cannot be loaded: it imports {missing!r}, which is not installed here")


def _made(made: Workload | type[Workload] | Callable[[], Any], *, origin: str) -> dict[str, Workload]:
    return _by_name(made if isinstance(made, Workload) else made(), origin=origin)


def _by_name(provided: Any, *, origin: str) -> dict[str, Workload]:
    """Workloads by name, each of them checked.

    Raises:
        WorkloadError: Something else is among them, or one breaks the contract.
    """
    workloads = [provided] if isinstance(provided, Workload) else getattr(provided, "values", lambda: provided)()
    if not isinstance(workloads, Iterable):
        raise WorkloadError(
            f"{origin} must give workloads, got a {type(provided).__name__}: "
            "derive the class from tuner.OpaqueWorkload, StepwiseWorkload or DeclaredWorkload"
        )
    workloads = list(workloads)
    for workload in workloads:
        if not isinstance(workload, Workload):
            raise WorkloadError(f"{origin} must give workloads, got a {type(workload).__name__}")
        describe(workload)
    return {workload.name: workload for workload in workloads}


def _is_workload_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Workload) and hasattr(value, "name")


def _where(point: EntryPoint) -> str:
    package = point.dist.name if point.dist is not None else "an unknown package"
    return f"{point.name} = {point.value} ({package})"
