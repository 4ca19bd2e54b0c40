"""Keeps what a process knows from other processes of the same user, and what it writes from other users.

Training code runs beside processes that hold the database's password. On Linux every process of a user may read the
memory, the open files and the first environment of the user's other processes, unless they are private.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

_PR_SET_DUMPABLE = 4  # from <linux/prctl.h>
_AREAS = ((45, 46), (47, 48))
"""Where /proc/PID/stat has the addresses of the arguments and of the environment, counted after the name."""
_PASSWORD = re.compile(r"//[^:@/?]*:(?P<password>.+)@|[?&]password=(?P<option>[^&]+)")
_LEAST_CHARACTERS = 4
"""Anything shorter is part of other words, and no secret."""


def make_private() -> None:
    """Make this process private from now on; a program that it starts is not.

    It leaves no core dump. On Linux no other process of its user can trace it or read its memory, its first environment
    and its open files; root can.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def write_for_this_user() -> None:
    """Have the files and folders that this process makes, and programs that it starts, readable for its user alone."""
    os.umask(0o077)


def secrets_in(arguments: Iterable[str], environment: Mapping[str, str]) -> frozenset[str]:
    """What must not be seen of a process of ours: the passwords of databases, and the service's key."""
    urls = (environment.get("TUNER_DATABASE_URL", ""), *(argument for argument in arguments if "://" in argument))
    passwords = {password for url in urls for password in database_passwords(url, environment)}
    return frozenset(passwords | ({environment["TUNER_SECRET_KEY"]} if environment.get("TUNER_SECRET_KEY") else set()))


def database_password(database_url: str) -> str | None:
    """The password in a database URL, as it is written there; ``None`` when it has none."""
    found = _PASSWORD.search(database_url)
    return found["password"] or found["option"] if found else None


def database_passwords(database_url: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The database's password as it may be written: in the URL, decoded, and as libpq reads it."""
    in_url = database_password(database_url)
    written = () if in_url is None else (in_url, unquote(in_url))
    return tuple(dict.fromkeys(filter(None, (*written, environment.get("PGPASSWORD")))))


def erase(secrets: Iterable[str]) -> None:
    """Overwrite secrets in the arguments and the environment that this process was started with.

    The kernel shows both for the whole life of the process: the arguments to everybody, the environment to its user and
    to root. ``os.environ`` stays as it is, for this process and for those that it starts.
    """
    wanted = [os.fsencode(secret) for secret in secrets if len(secret) >= _LEAST_CHARACTERS]
    if sys.platform != "linux" or not wanted:
        return
    before = dict(os.environ)
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    for first, last in _AREAS:
        start, end = int(fields[first]), int(fields[last])
        shown = ctypes.string_at(start, end - start)
        for secret in wanted:
            at = shown.find(secret)
            while at >= 0:
                ctypes.memset(start + at, ord("*"), len(secret))
                at = shown.find(secret, at + len(secret))
    os.environ.update(before)  # libraries in C read that memory until it is set anew
