"""Limits its process, gives up its user, and becomes a program: ``python launch.py LIMITS PROGRAM [ARGUMENT...]``.

LIMITS is a JSON object: the fields of `Limits`. It is a script of its own because doing this between ``fork`` and
``exec`` (``preexec_fn``) can deadlock in a program with threads, and because a process needs no right to limit itself.
It imports next to nothing: it runs before every runner.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from contextlib import suppress
from typing import NamedTuple

_PR_SET_NO_NEW_PRIVS = 38  # from <linux/prctl.h>
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_OOM_FILE = "/proc/self/oom_score_adj"


class Limits(NamedTuple):
    """What a runner starts with."""

    umask: int
    oom_score: int = 0
    """Added to what the kernel's OOM killer thinks of it, in thousandths of all memory."""
    data_bytes: int | None = None
    """The largest data segment."""
    uid: int | None = None
    """Of the user that it becomes; the present one when absent."""
    gid: int | None = None
    groups: tuple[int, ...] = ()

    def as_argument(self) -> str:
        """As the script reads them."""
        return json.dumps(self._asdict())


def apply(limits: Limits) -> None:
    """Limit this process, and give up its user where another is named."""
    os.umask(limits.umask)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    with suppress(OSError), open(_OOM_FILE, "r+") as file:
        score = min(1000, int(file.read()) + limits.oom_score)
        file.seek(0)
        file.write(str(score))
    if limits.data_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limits.data_bytes, limits.data_bytes))
    if limits.uid is not None and limits.gid is not None:
        _become(limits.uid, gid=limits.gid, groups=limits.groups)


def _become(uid: int, *, gid: int, groups: tuple[int, ...]) -> None:
    libc = ctypes.CDLL(None)
    # Neither a setuid program nor a capability that the worker has passes on: the first would lead back to root.
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


if __name__ == "__main__":
    apply(Limits(**json.loads(sys.argv[1])))
    os.execv(sys.argv[2], sys.argv[2:])
