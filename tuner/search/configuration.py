"""The configuration of a trial: a schedule, and values of the searched options of the workload."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tuner.schedules import Schedule
from tuner.search.settings import SearchSettings
from tuner.search.space import Parameter, Value

OPTION: Final = "option."
"""Prefix of an option's name among the parameters of the schedule."""
OptionValues = tuple[tuple[str, Value], ...]
"""Option values in the order of their names: hashable, so that configurations can be keys."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A point of a search."""

    schedule: Schedule
    """At the full horizon."""
    options: OptionValues = ()
    """Values of the searched options; the others are the job's."""

    @property
    def label(self) -> str:
        """The schedule's label, and the options'."""
        return label_of(self.schedule, options=dict(self.options))


def label_of(schedule: Schedule, *, options: Mapping[str, Any]) -> str:
    """The label of a configuration: its schedule's, then each searched option with its value."""
    return ", ".join([schedule.label, *(f"{name} {_format(value)}" for name, value in options.items())])


def option_values(options: Mapping[str, Value]) -> OptionValues:
    """Option values in the order of their names."""
    return tuple(sorted(options.items()))


def option_parameters(settings: SearchSettings) -> dict[str, Parameter]:
    """The searched options under their names among the schedule's parameters: ``option.dropout``."""
    return {f"{OPTION}{name}": parameter for name, parameter in sorted(settings.options.items())}


def values_of(configuration: Configuration, *, settings: SearchSettings) -> dict[str, Value] | None:
    """The point of a search that is this configuration, options included; ``None`` where there is none."""
    values = settings.searched_space.values_of(configuration.schedule)
    options, ranges = dict(configuration.options), settings.options
    if values is None or options.keys() != ranges.keys():
        return None
    if not all(ranges[name].contains(value) for name, value in options.items()):
        return None
    return values | {f"{OPTION}{name}": value for name, value in options.items()}


def search_digest(settings: SearchSettings) -> str:
    """SHA-256 in hexadecimal of the space, and of the searched options where there are any."""
    digest = settings.searched_space.digest
    if not settings.options:
        return digest
    options = {name: parameter.model_dump(mode="json") for name, parameter in settings.options.items()}
    return hashlib.sha256(f"{digest} {json.dumps(options, sort_keys=True)}".encode()).hexdigest()


def _format(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
