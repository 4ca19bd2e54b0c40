"""How much memory a runner has, together with the processes that it started, as the kernel tells it. Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MIB = 1024 * 1024


class RunnerMemory:
    """Watches the memory of a runner with its descendants against a limit.

    Args:
        limit_mib: MiB that they may have together; none when absent.
    """

    def __init__(self, *, limit_mib: int | None) -> None:
        self.limit_mib = limit_mib
        self._peak = 0

    @property
    def peak_mib(self) -> int | None:
        """The most that was seen since `begin`; ``None`` when nothing was."""
        return self._peak // _MIB or None

    def begin(self) -> None:
        """Forget the peak: another run begins."""
        self._peak = 0

    def is_over_limit(self, pid: int) -> bool:
        """Look now; whether they have more than they may.

        The peak counts what they share once for each; where that sum is over the limit, the exact one decides.
        """
        family = list(_with_descendants(pid))
        used = sum(_resident_bytes(member) for member in family)
        limit = None if self.limit_mib is None else self.limit_mib * _MIB
        if limit is not None and used > limit and len(family) > 1:
            used = sum(_proportional_bytes(member) for member in family)
        self._peak = max(self._peak, used)
        return limit is not None and used > limit


def _with_descendants(pid: int) -> Iterator[int]:
    waiting, seen = [pid], set[int]()
    while waiting:
        member = waiting.pop()
        if member in seen:
            continue
        seen.add(member)
        yield member
        with suppress(OSError):
            for task in os.listdir(f"/proc/{member}/task"):
                with suppress(OSError):
                    waiting += map(int, Path(f"/proc/{member}/task/{task}/children").read_text().split())


def _resident_bytes(pid: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _proportional_bytes(pid: int) -> int:
    """Resident memory of one process, of what it shares its share (PSS)."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _resident_bytes(pid)
