"""How a runner ended, and its stack, in words."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from contextlib import suppress

import psutil

_DUMP = "Fatal Python error: Aborted"
"""What `faulthandler` writes before the stacks."""
_FRAME = re.compile(r'^  File "(?P<file>[^"]*)", line \d+ in ')
_OURS = "tuner/training/"
_MOST_FRAMES = 12
_TAIL_LINES = 20


def describe_exit(code: int, *, leftover_processes: Sequence[str] = ()) -> str:
    """An exit code in words.

    Args:
        code: As `subprocess` reports it: negative for a signal.
        leftover_processes: Names of processes that it had started and that went on.
    """
    if code >= 0:
        hint = " (the code called os._exit)" if code == 0 else ""
        if leftover_processes:
            names = ", ".join(map(repr, leftover_processes))
            hint = f", while what it had started ran on ({names}): has the code gone into the background?"
        return f"the runner ended by itself, with exit code {code} and no result{hint}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (often because the system lacks memory)" if name == "SIGKILL" else ""
    return f"the runner was killed by {name}{hint}"


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal and may go on."""
    with suppress(psutil.Error):
        return psutil.Process(pid).status() in {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}
    return False


def stack_of_dump(output: str) -> str:
    """The user's frames of the thread that was aborted, from a runner's error output; empty when there are none.

    Returns:
        A heading and a line for each frame, the innermost first, to be appended to a reason.
    """
    frames: list[str] = []
    for line in output.rpartition(_DUMP)[2].partition("Current thread")[2].splitlines()[1:]:
        found = _FRAME.match(line)
        if found is None or (frames and _OURS in found["file"]):
            break
        frames.append(line)
    return "\nWhere it stood (most recent call first):\n" + "\n".join(frames[:_MOST_FRAMES]) if frames else ""


def output_before_dump(output: str) -> str:
    """The last lines that a runner printed before its stacks."""
    printed, dump, rest = output.rpartition(_DUMP)
    return "\n".join((printed if dump else rest).strip().splitlines()[-_TAIL_LINES:])
