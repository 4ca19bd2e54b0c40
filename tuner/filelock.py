"""Holds a file, and with it whatever the file stands for, for one process of this machine at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.errors import TunerError


class FileHeld(TunerError):
    """Another process holds the file.

    Args:
        path: The file.
        holder: The process id that the other left in it; empty when it left none.

    Example:
        >>> from pathlib import Path
        >>> from tuner import FileHeld
        >>> print(FileHeld(Path("study.lock"), holder="4711"))
        study.lock is held by process 4711
    """

    def __init__(self, path: Path, *, holder: str) -> None:
        self.path = path
        self.holder = holder or "(unknown)"
        super().__init__(f"{path} is held by process {self.holder}")


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a file within the block; the hold ends with the process, however it ends.

    Args:
        path: The file, made when it is missing, with its folder. It stays, and holds the process id of its last holder.

    Raises:
        FileHeld: Another process, or another block of this one, holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise FileHeld(path, holder=file.read().strip()) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
