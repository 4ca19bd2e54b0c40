"""Sees to it that a process which has done its work is gone soon, whatever threads its libraries have left behind."""

from __future__ import annotations

import faulthandler

EXIT_SECONDS = 10.0
"""How long the interpreter may take to end once everything of ours is closed."""


def limit_exit(seconds: float = EXIT_SECONDS) -> None:
    """End the process with exit code 1 when it has not ended by itself in so many seconds from now.

    The stacks of its threads are written to standard error then: they show what it waited for.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
