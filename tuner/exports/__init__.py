"""Schedules as text for other programs: data, functions, and code for the libraries that people train with.

Generated code is text; nothing here imports the library that the text is for. Every export reproduces the rates of
``schedule.lrs``, update for update, with a relative error below 1e-9 (1e-12 of the peak where the rate is nearly 0).
Where a library's native schedules express exactly the same, the export uses them; where they cannot, the export states
the reason and contains a function instead. A schedule that follows the loss has no such function: where the library
has no class that is equal, its export is refused. docs/exports.md lists what each library can express, and the version
that this was checked with.
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
    pytorch,
    standalone,
    timm,
    torch_builtin,
)
from tuner.exports.exporter import Export, Exporter, TargetRun
from tuner.exports.formats import ExportFormat
from tuner.exports.pytorch import paste_in_code
from tuner.exports.reduce_on_plateau import WITH_THIS_PROJECT, export_following
from tuner.exports.standalone import schedule_csv, schedule_json
from tuner.schedules import Schedule
from tuner.validation import choice

_MODULES: Final = (
    standalone,
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
"""Every exporter by the name of its format."""

__all__ = [
    "EXPORTERS",
    "Export",
    "ExportFormat",
    "Exporter",
    "TargetRun",
    "export",
    "paste_in_code",
    "schedule_csv",
    "schedule_json",
]


def export(schedule: Schedule, *, format: ExportFormat | str, run: TargetRun) -> Export:
    """Export a schedule as data or as code for a training library.

    Args:
        schedule: The schedule.
        format: The format, or its name; `EXPORTERS` describes each.
        run: The training run that the export is for.

    Returns:
        The text in chunks, and the reason where the library's native schedules cannot express the schedule.

    Raises:
        InvalidValue: The schedule does not fit into ``run.total_steps`` updates, there is no such format, or the
            schedule follows the loss, and the library has nothing that is equal.

    Example:
        >>> from tuner import Schedule
        >>> from tuner.exports import ExportFormat, TargetRun, export
        >>> from tuner.schedules import Linear
        >>> schedule = Schedule(peak_lr=0.1, family=Linear())
        >>> print(*export(schedule, format=ExportFormat.CSV, run=TargetRun(total_steps=2)).chunks, sep="", end="")
        update,lr
        0,0.1
        1,0.05
    """
    name = choice("format", format, of=ExportFormat)
    if schedule.follows_loss and name not in WITH_THIS_PROJECT:
        return export_following(schedule, format=name, run=run)
    return EXPORTERS[name].write(schedule, run)
