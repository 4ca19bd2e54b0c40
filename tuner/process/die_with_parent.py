"""Ties a process to the life of its parent: ``python die_with_parent.py PARENT_PID COMMAND [ARGUMENT...]``.

Linux kills the process when the parent dies, in whatever way; the setting outlives ``exec``, so the command replaces
this process and no second one stays. It is a script of its own because setting it between ``fork`` and ``exec``
(``preexec_fn``) can deadlock in a program with threads. It imports next to nothing: it runs before every child.
Elsewhere than on Linux it only runs the command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


def die_with_parent() -> None:
    """Have this process killed with the thread that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


if __name__ == "__main__":
    die_with_parent()
    if os.getppid() != int(sys.argv[1]):  # the parent died before this was set
        sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])
