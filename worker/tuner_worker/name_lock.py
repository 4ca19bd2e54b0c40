"""The lock on a worker's name: a second worker of the same name would free the first one's runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tuner.errors import TunerError
from tuner.filelock import file_lock


class NameTaken(TunerError):
    """Another process on this machine works under the same name.

    Args:
        name: The name.
        holder: The other's process id.
    """

    def __init__(self, name: str, *, holder: str) -> None:
        self.name = name
        self.holder = holder
        super().__init__(
            f"process {holder} already works as {name!r} over this data folder. "
            "Stop it, or give this worker another name (--name)"
        )


def lock_name(name: str, *, folder: Path) -> AbstractContextManager[None]:
    """Lock a name within the block.

    Args:
        name: The worker's name.
        folder: The folder of the lock file, created when missing.

    Raises:
        NameTaken: Another process holds it.
    """
    return file_lock(folder / f"{name}.lock", error=lambda holder: NameTaken(name, holder=holder))
