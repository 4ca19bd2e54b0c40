"""Holds a worker's name on this machine: a second worker of the same name would take the first one's runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tuner.errors import TunerError
from tuner.filelock import FileHeld, held


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


@contextmanager
def held_name(name: str, *, folder: Path) -> Iterator[None]:
    """Hold a name within the block; the hold ends with the process, however it ends.

    Args:
        name: The worker's name.
        folder: Where the lock file lies; made when needed.

    Raises:
        NameTaken: Another process holds it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(held(folder / f"{name}.lock"))
        except FileHeld as taken:
            raise NameTaken(name, holder=taken.holder) from None
        yield
