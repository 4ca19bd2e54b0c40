"""Whether a run has failed for its machine and not for its code: another attempt, perhaps elsewhere, may do better."""

from __future__ import annotations

import re
from pathlib import Path

from tuner.disk import disk_trouble, is_disk_error
from tuner.training.commands.command_process import CommandKilled
from tuner.training.runner.tracebacks import first_line

_CHILD_KILLED = re.compile(r"killed by signal: (Killed|Terminated|Hangup|Interrupt)")
"""How torch reports a process of a data loader that was killed."""


def reason_lost(error: BaseException, *, folder: Path) -> str | None:
    """Why the machine failed a run, in words; ``None`` where its code did.

    Args:
        error: What ended the run.
        folder: Where the run keeps its snapshots.
    """
    if trouble := disk_trouble(folder):
        return f"Nothing could be written: {trouble}"
    if is_disk_error(error):
        return "A disk is full, read-only or gone"
    if isinstance(error, CommandKilled) or _CHILD_KILLED.search(first_line(error)):
        return "A process of the run was killed from outside"
    return None
