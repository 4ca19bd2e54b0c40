"""Exports that need no library: JSON, JSON with facts of the run, a CSV of every update, a Python function."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from tuner.exports.codegen import scalar_function
from tuner.exports.exporter import (
    BATCH_SIZE_RULES,
    GROUP_RULE,
    UNIT,
    Export,
    Exporter,
    TargetRun,
    comment,
    header,
    length_note,
)
from tuner.exports.formula import schedule_formula
from tuner.schedules import Schedule
from tuner.schedules.schedule import BLOCK

_PYTHON = '''\
import math

PEAK_LR = {peak!r}
TOTAL_UPDATES = {total}


def lr(update):
    """The learning rate of an update; the first is 0."""
    return PEAK_LR * lr_factor(update)


'''


def schedule_json(schedule: Schedule) -> str:
    """The schedule's JSON, indented, with a newline at its end; ``Schedule.from_json`` restores an equal schedule."""
    return json.dumps(json.loads(schedule.to_json()), indent=2) + "\n"


def schedule_csv(schedule: Schedule, *, total_steps: int) -> Iterator[str]:
    """The learning rate of every update, in blocks of lines: constant memory for runs of any length.

    Args:
        schedule: The schedule.
        total_steps: The horizon in updates, at least 1.

    Yields:
        The line ``"update,lr"``, then one line per update from 0 to ``total_steps - 1``, each ending in a newline,
        some thousands of lines at a time. A rate is written with as many digits as it takes to read the same float64
        back.

    Raises:
        InvalidValue: The schedule does not fit into so few updates.
    """
    blocks = schedule.lr_blocks(total_steps)
    yield "update,lr\n"
    for first, block in zip(range(0, total_steps, BLOCK), blocks, strict=True):
        yield "".join(map("%d,%r\n".__mod__, enumerate(block.tolist(), start=first)))


def _json(schedule: Schedule, run: TargetRun) -> Export:
    schedule.lr(0, total_steps=run.total_steps)
    return Export(chunks=[schedule_json(schedule)])


def _record(schedule: Schedule, run: TargetRun) -> Export:
    schedule.lr(0, total_steps=run.total_steps)
    record = {
        "schedule": json.loads(schedule.to_json()),
        "digest": schedule.digest,
        "label": schedule.label,
        "unit": UNIT,
        "total_updates": run.total_steps,
        "warmup_updates": schedule.warmup.length(run.total_steps),
        "effective_batch_size": run.batch_size,
        "optimizer": run.optimizer or None,
        "fitted_from_updates": run.fitted_from,
        "options": dict(run.found_with),
        "total_updates_note": length_note(schedule, run),
        "batch_size_note": BATCH_SIZE_RULES,
        "groups_note": GROUP_RULE,
    }
    return Export(chunks=[json.dumps(record, indent=2) + "\n"])


def _csv(schedule: Schedule, run: TargetRun) -> Export:
    schedule.lr(0, total_steps=run.total_steps)
    return Export(chunks=schedule_csv(schedule, total_steps=run.total_steps))


def _python(schedule: Schedule, run: TargetRun) -> Export:
    function = scalar_function(schedule_formula(schedule, total_steps=run.total_steps))
    constants = _PYTHON.format(peak=schedule.peak_lr, total=run.total_steps)
    usage = comment("Needs nothing but Python. Call lr(update) before each optimizer update.")
    return Export(chunks=[header(schedule, run), usage, "\n", constants, function])


EXPORTERS: Final = (
    Exporter(
        name="json",
        description="The schedule itself, as `Schedule.from_json` reads it.",
        native="Every schedule, for runs of any length.",
        requires="",
        media_type="application/json",
        extension="json",
        write=_json,
    ),
    Exporter(
        name="record",
        description="The schedule with its run: unit, total updates, batch size, optimizer, how to scale.",
        native="Every schedule.",
        requires="",
        media_type="application/json",
        extension="json",
        write=_record,
    ),
    Exporter(
        name="csv",
        description="The learning rate of every update: `update,lr`.",
        native="Every schedule.",
        requires="",
        media_type="text/csv",
        extension="csv",
        write=_csv,
    ),
    Exporter(
        name="python",
        description="A function of the update, in plain Python.",
        native="Every schedule.",
        requires="",
        write=_python,
    ),
)
