"""How processes end: ours soon after their work, whatever threads their libraries have left, and others by a signal."""

from __future__ import annotations

import faulthandler
import signal

EXIT_SECONDS = 10.0
"""How long the interpreter may take to end once everything of ours is closed."""
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def limit_exit(seconds: float = EXIT_SECONDS) -> None:
    """End the process with exit code 1 when it has not ended by itself in so many seconds from now.

    The stacks of its threads are written to standard error then: they show what it waited for.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)


def is_killed_from_outside(code: int) -> bool:
    """Whether an exit code is that of a signal which people and machines send, and code does not cause by a defect.

    The kernel's OOM killer sends SIGKILL too: whether it did is for the caller to find out.

    Args:
        code: As `subprocess` reports it: negative for a signal.
    """
    return -code in _FROM_OUTSIDE
