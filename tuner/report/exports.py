"""A schedule as text for other programs: JSON, a dense CSV, and code to paste into a training script."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from tuner.schedules import Schedule

_CHUNK = 65_536  # updates that are turned into Python floats at a time
_CODE_WIDTH = 79
_CODE = '''\
from tuner.schedules import Schedule
from tuner.schedules.torch_adapter import ScheduleLR

schedule = Schedule.from_json("""
{json}
""")
# Of the optimizer's own lr only the ratios between its parameter groups count.
scheduler = ScheduleLR(optimizer, schedule, total_steps={total_steps})

for update in range({total_steps}):
    ...  # your forward and backward pass
    optimizer.step()
    scheduler.step()  # once per optimizer update, not per epoch or micro-batch
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


def paste_in_code(schedule: Schedule, *, total_steps: int) -> str:
    """Python code that trains with the schedule, to be pasted where an ``optimizer`` exists.

    Args:
        schedule: The schedule.
        total_steps: The horizon in updates, at least 1.

    Returns:
        Lines of at most 79 characters that run as they stand.
    """
    # The canonical JSON holds no space inside a string, so every space is a place where a line may end.
    spaced = json.dumps(json.loads(schedule.to_json()))
    lines = textwrap.wrap(spaced, width=_CODE_WIDTH, break_long_words=False, break_on_hyphens=False)
    return _CODE.format(json="\n".join(lines), total_steps=total_steps)
