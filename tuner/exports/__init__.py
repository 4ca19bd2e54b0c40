"""Schedules as text for other programs: data, functions, and code for the libraries that people train with.

Generated code is text; nothing here imports what it is for. Every export gives the rates of ``schedule.lrs``, update
for update, to 1e-9 of the rate (1e-12 of the peak where the rate is nearly 0). Where a library has schedules of its
own that say exactly the same, they are used; where it has none, the export says why and brings a function.
docs/exports.md tells which library can say what, and with which version that was checked.
"""

from __future__ import annotations

from typing import Final

from tuner.exports import (
    composer,
    deepspeed,
    huggingface,
    keras,
    lightning,
    megatron,
    optax,
    plain,
    pytorch,
    timm,
    torch_builtin,
)
from tuner.exports.exporter import Exporter, Run, Written
from tuner.exports.formats import ExportFormat
from tuner.exports.plain import schedule_csv, schedule_json
from tuner.exports.pytorch import paste_in_code
from tuner.schedules import Schedule

_MODULES: Final = (
    plain,
    pytorch,
    torch_builtin,
    huggingface,
    lightning,
    timm,
    composer,
    keras,
    optax,
    deepspeed,
    megatron,
)
EXPORTERS: Final[dict[ExportFormat, Exporter]] = {
    ExportFormat(each.name): each for module in _MODULES for each in module.EXPORTERS
}
"""Every format by its name."""

__all__ = [
    "EXPORTERS",
    "ExportFormat",
    "Exporter",
    "Run",
    "Written",
    "export",
    "paste_in_code",
    "schedule_csv",
    "schedule_json",
]


def export(schedule: Schedule, *, format: ExportFormat, run: Run) -> Written:
    """Write a schedule in a format.

    Args:
        schedule: The schedule.
        format: Any of them.
        run: The run that it is written for.

    Raises:
        InvalidValue: The schedule does not fit into so few updates.
    """
    return EXPORTERS[format].write(schedule, run)
