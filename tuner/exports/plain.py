"""A schedule without a framework: its JSON, a record of it, a dense CSV, a function of Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from tuner.exports.code import scalar_function
from tuner.exports.exporter import RULES, UNIT, Exporter, Run, Written, another_length, comment, header
from tuner.exports.formula import formula_of
from tuner.schedules import Schedule

_CHUNK = 65_536  # updates that are turned into Python floats at a time
_PYTHON = '''\
import math

PEAK_LR = {peak!r}
TOTAL_UPDATES = {total}


def lr(update):
    """The learning rate of an update; the first is 0."""
    return PEAK_LR * lr_factor(update)


'''


def schedule_json(schedule: Schedule) -> str:
    """The schedule's JSON, indented, with a newline at its end; ``Schedule.from_json`` reads it back equal."""
    return json.dumps(json.loads(schedule.to_json()), indent=2) + "\n"


def schedule_csv(schedule: Schedule, *, total_steps: int) -> Iterator[str]:
    """The learning rate of every update, line by line.

    Args:
        schedule: The schedule.
        total_steps: The horizon in updates, at least 1.

    Yields:
        ``"update,lr"``, then one line per update from 0 to ``total_steps - 1``, each ending in a newline. A rate is
        written with as many digits as it takes to read the same float64 back.
    """
    yield "update,lr\n"
    lrs = schedule.lrs(total_steps)
    for start in range(0, total_steps, _CHUNK):
        for update, lr in enumerate(lrs[start : start + _CHUNK].tolist(), start=start):
            yield f"{update},{lr!r}\n"


def _json(schedule: Schedule, run: Run) -> Written:
    schedule.lr(0, total_steps=run.total_steps)
    return Written(chunks=[schedule_json(schedule)])


def _record(schedule: Schedule, run: Run) -> Written:
    schedule.lr(0, total_steps=run.total_steps)
    told = {
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
        "another_total": another_length(schedule, run),
        "another_batch_size": RULES,
    }
    return Written(chunks=[json.dumps(told, indent=2) + "\n"])


def _csv(schedule: Schedule, run: Run) -> Written:
    schedule.lr(0, total_steps=run.total_steps)
    return Written(chunks=schedule_csv(schedule, total_steps=run.total_steps))


def _python(schedule: Schedule, run: Run) -> Written:
    function = scalar_function(formula_of(schedule, total_steps=run.total_steps))
    constants = _PYTHON.format(peak=schedule.peak_lr, total=run.total_steps)
    usage = comment("Needs nothing but Python. Call lr(update) before each optimizer update.")
    return Written(chunks=[header(schedule, run), usage, "\n", constants, function])


EXPORTERS: Final = (
    Exporter(
        name="json",
        description="The schedule itself, as `Schedule.from_json` reads it.",
        own="Every schedule, whatever the run's length.",
        needs="",
        media_type="application/json",
        ending="json",
        write=_json,
    ),
    Exporter(
        name="record",
        description="The schedule with its run: unit, total updates, batch size, optimizer, how to scale.",
        own="Every schedule.",
        needs="",
        media_type="application/json",
        ending="json",
        write=_record,
    ),
    Exporter(
        name="csv",
        description="The learning rate of every update: `update,lr`.",
        own="Every schedule.",
        needs="",
        media_type="text/csv",
        ending="csv",
        write=_csv,
    ),
    Exporter(
        name="python",
        description="A function of the update, in plain Python.",
        own="Every schedule.",
        needs="",
        media_type="text/x-python",
        ending="py",
        write=_python,
    ),
)
