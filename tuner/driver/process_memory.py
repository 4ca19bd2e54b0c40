"""How much memory a process uses, together with the processes that it started."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import psutil

_MIB = 1024 * 1024
_LISTING_SHARE = 0.05
"""Of the time, at most, is spent on listing children, for which every process of the machine is read."""


class ProcessMemory:
    """Measures the memory of a process with its descendants against a limit.

    Args:
        limit_mib: MiB that they may have together; no limit when absent.
        clock: Monotonic seconds.
    """

    def __init__(self, *, limit_mib: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_mib = limit_mib
        self._clock = clock
        self._peak = 0
        self._children: list[psutil.Process] = []
        self._children_of: int | None = None
        self._next_listing = 0.0

    @property
    def peak_mib(self) -> int | None:
        """The most that was measured since `begin`; ``None`` when nothing was."""
        return self._peak // _MIB or None

    def begin(self) -> None:
        """Forget the peak: another run begins."""
        self._peak = 0

    def is_over_limit(self, pid: int) -> bool:
        """Measure now; whether they have more than they may.

        The peak counts memory that they share once for each process. Where that sum is over the limit, the exact one
        decides.
        """
        try:
            processes = [psutil.Process(pid), *self._descendants(pid)]
        except psutil.Error:
            return False
        used = sum(map(_resident_bytes, processes))
        limit = None if self.limit_mib is None else self.limit_mib * _MIB
        if limit is not None and used > limit and len(processes) > 1:
            used = sum(map(_proportional_bytes, processes))
        self._peak = max(self._peak, used)
        return limit is not None and used > limit

    def _descendants(self, pid: int) -> list[psutil.Process]:
        began = self._clock()
        if pid != self._children_of or began >= self._next_listing:
            self._children, self._children_of = psutil.Process(pid).children(recursive=True), pid
            now = self._clock()
            self._next_listing = now + (now - began) / _LISTING_SHARE
        return self._children


def _resident_bytes(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _proportional_bytes(process: psutil.Process) -> int:
    """Resident memory of one process with its share of what it shares (PSS); all of it where that is not known."""
    with suppress(psutil.Error, AttributeError):
        return int(process.memory_full_info().pss)
    return _resident_bytes(process)
