"""Export to PyTorch: a `LambdaLR` that does not need this project, or our `ScheduleLR`."""

from __future__ import annotations

import json
import textwrap
from typing import Final

from tuner.exports.codegen import scalar_function
from tuner.exports.exporter import Export, Exporter, TargetRun, comment, header
from tuner.exports.formula import schedule_formula
from tuner.schedules import Schedule

_CODE_WIDTH: Final = 79
_PASTE_IN: Final = '''\
from tuner import Schedule, ScheduleLR

schedule = Schedule.from_json("""
{json}
""")
# The largest lr that the optimizer was built with becomes the schedule's; all
# other groups keep their ratios to it. Of several optimizers the first counts:
# ScheduleLR([first, second], ...).
scheduler = ScheduleLR(optimizer, schedule, total_steps={total_steps})

for update in range({total_steps}):
    ...  # your forward and backward pass
    optimizer.step()
    scheduler.step()  # once per optimizer update, not per epoch or micro-batch
'''
_CHECKED: Final = '''\
def check_lr(reference):
    """The reference optimizer must be built with lr=PEAK_LR; a group with a part of it follows at that part."""
    rates = [group.get("max_lr", group.get("initial_lr", group["lr"])) for group in reference.param_groups]
    largest = max(map(float, rates))
    if abs(largest - PEAK_LR) > 1e-9 * PEAK_LR:
        raise ValueError(f"the reference optimizer's largest lr must be {PEAK_LR}, it is {largest}")
'''
_NO_SCALES: Final = '''\
def check_groups(optimizer):
    """PyTorch's schedulers do not know the lr_scale of timm's layer decay."""
    if any(group.get("lr_scale", 1.0) != 1.0 for group in optimizer.param_groups):
        raise ValueError("lr_scale of a group has no effect here: remove it, and multiply the group's lr by it")
'''
MAKE: Final = '''\
def make_scheduler(optimizer, reference=None):
    """Call step() of it once after every update that was made; beside a reference, step both as often."""
    check_lr(optimizer if reference is None else reference)
    check_groups(optimizer)
'''
_FACTOR: Final = '''\
class ScheduleFactor:
    """What LambdaLR multiplies the optimizer's lr by. It has no state, and can be pickled."""

    def __call__(self, update):
        return lr_factor(update)
'''
_LAMBDA: Final = f"{_FACTOR}\n\n{MAKE}    return LambdaLR(optimizer, ScheduleFactor())\n"
STEPPING: Final = (
    "Build the optimizer with lr=PEAK_LR and all its parameter groups, then scheduler = make_scheduler(optimizer), and "
    "call scheduler.step() once after every optimizer.step(): not per epoch, not per micro-batch, not for an update "
    "that a GradScaler skipped. Save both state_dicts, and load both to resume. Of several optimizers, the first has "
    "lr=PEAK_LR: make_scheduler(other, reference=first) for each other one, and every scheduler steps once per update "
    "of the first."
)


_OBSERVE: Final = """\
    if ...:  # where you evaluate, as often as in tuning
        scheduler.observe(val_loss)  # of an accuracy its negative
"""


def paste_in_code(schedule: Schedule, *, total_steps: int) -> str:
    """Python code that trains with the schedule, to paste where an ``optimizer`` exists.

    Args:
        schedule: The schedule.
        total_steps: The horizon in updates, at least 1.

    Returns:
        Lines of at most 79 characters that run unchanged where this project is installed.
    """
    # The canonical JSON holds no space inside a string, so every space is a place where a line may end.
    spaced = json.dumps(json.loads(schedule.to_json()))
    lines = textwrap.wrap(spaced, width=_CODE_WIDTH, break_long_words=False, break_on_hyphens=False)
    code = _PASTE_IN.format(json="\n".join(lines), total_steps=total_steps)
    return f"{code}{_OBSERVE}" if schedule.follows_loss else code


def constants(schedule: Schedule, *, total_steps: int) -> str:
    """Definitions of ``PEAK_LR`` and ``TOTAL_UPDATES``."""
    return f"PEAK_LR = {schedule.peak_lr!r}\nTOTAL_UPDATES = {total_steps}\n"


def checked(schedule: Schedule, *, total_steps: int, imports: str, body: str, scales: bool = False) -> str:
    """Code whose ``check_lr(reference)`` refuses an optimizer with another peak.

    Args:
        schedule: The schedule.
        total_steps: Updates of the run.
        imports: Lines of imports.
        body: Code after ``check_lr``, which may use `MAKE`.
        scales: Whether the library applies the ``lr_scale`` of parameter groups; else ``check_groups`` refuses it.
    """
    checks = _CHECKED if scales else f"{_CHECKED}\n\n{_NO_SCALES}"
    return f"{imports}\n{constants(schedule, total_steps=total_steps)}\n\n{checks}\n\n{body}"


def scalar_code(schedule: Schedule, *, total_steps: int, imports: str, body: str, scales: bool = False) -> str:
    """As `checked`, with the function ``lr_factor(update)`` before the body."""
    function = scalar_function(schedule_formula(schedule, total_steps=total_steps))
    first = "import math\n\n" if "math." in function else ""
    return checked(
        schedule, total_steps=total_steps, imports=f"{first}{imports}", body=f"{function}\n\n{body}", scales=scales
    )


def lambda_code(schedule: Schedule, *, total_steps: int, imports: str = "", body: str = "") -> str:
    """Code with ``make_scheduler(optimizer)``, which returns a `LambdaLR`.

    Args:
        schedule: The schedule.
        total_steps: Updates of the run.
        imports: Lines of further imports.
        body: Code at the end.
    """
    return scalar_code(
        schedule,
        total_steps=total_steps,
        imports=f"{imports}from torch.optim.lr_scheduler import LambdaLR\n",
        body=f"{_LAMBDA}\n\n{body}" if body else _LAMBDA,
    )


def _torch(schedule: Schedule, run: TargetRun) -> Export:
    body = lambda_code(schedule, total_steps=run.total_steps)
    return Export(chunks=[header(schedule, run), comment(STEPPING), "\n", body])


def _schedule_lr(schedule: Schedule, run: TargetRun) -> Export:
    schedule.lr(0, total_steps=run.total_steps)
    return Export(chunks=[header(schedule, run), "\n", paste_in_code(schedule, total_steps=run.total_steps)])


EXPORTERS: Final = (
    Exporter(
        name="torch",
        description="PyTorch: a LambdaLR of a class that can be pickled; does not need this project.",
        native="Every schedule.",
        requires="torch",
        write=_torch,
    ),
    Exporter(
        name="schedule-lr",
        description="PyTorch: this project's ScheduleLR, whose checkpoints refuse another schedule.",
        native="Every schedule.",
        requires="torch, schedule-tuner",
        write=_schedule_lr,
    ),
)
