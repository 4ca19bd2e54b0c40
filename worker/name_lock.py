"""Holds a worker's name on this machine: a second worker of the same name would take the first one's runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.errors import TunerError


class NameTaken(TunerError):
    """Another process on this machine works under the same name.

    Args:
        name: The name.
        holder: The process id that the other left; empty when it left none.
    """

    def __init__(self, name: str, *, holder: str) -> None:
        self.name = name
        self.holder = holder
        super().__init__(
            f"process {holder or '(unknown)'} already works as {name!r} over this data folder. "
            "Stop it, or give this worker another name (--name)"
        )


@contextmanager
def held_name(name: str, *, folder: Path) -> Iterator[None]:
    """Hold a name within the block; the hold ends with the process, however it ends.

    Args:
        name: The worker's name.
        folder: Where the lock file lies; made when needed.

    Raises:
        NameTaken: Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise NameTaken(name, holder=file.read().strip()) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
