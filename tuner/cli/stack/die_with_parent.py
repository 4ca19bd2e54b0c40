"""Ties a command to the life of its parent: ``python die_with_parent.py PARENT_PID COMMAND [ARGUMENT...]``.

Linux kills the process when the parent dies, however it dies. The setting survives ``exec``, so the command replaces
this process and no second process remains. It is a script of its own because a call between ``fork`` and ``exec``
(``preexec_fn``) can deadlock in a program with threads. It imports as little as possible because it runs before every
child. On other systems it only runs the command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before the call
        sys.exit(1)


if __name__ == "__main__":
    _die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
