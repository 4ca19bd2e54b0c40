"""A lock on a file: one process of this machine at a time. It ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
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
def file_lock(path: Path, *, error: Callable[[str], TunerError] | None = None) -> Iterator[None]:
    """Lock a file within the block.

    Args:
        path: The file. It is created when missing, with its folder; it remains, with the process id of its last holder.
        error: Builds the error to raise from the holder's process id; `FileHeld` when absent.

    Raises:
        FileHeld: Another process, or another block of this one, holds it, and no other error was passed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            taken = FileHeld(path, holder=file.read().strip())
            raise taken if error is None else error(taken.holder) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
