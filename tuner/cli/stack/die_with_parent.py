"""Ties a command to the life of its parent: ``python die_with_parent.py PARENT_PID COMMAND [ARGUMENT...]``.

Linux kills the process when the parent dies, however it dies; the wish survives ``exec``, so the command takes this
process over and no second process stays behind. It is a script of its own because setting the wish between ``fork``
and ``exec`` (``preexec_fn``) can deadlock in a program with threads. It imports next to nothing: it runs before every
child. Elsewhere than on Linux it only runs the command.
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
    if os.getppid() != parent:  # it died before the wish was known
        sys.exit(1)


if __name__ == "__main__":
    _die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
