"""Whether the kernel has killed a process for lack of memory, where it reports that. Linux."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_MIB = 1024 * 1024


class OomKiller:
    """The kernel's count of its kills, in this process's control group, else on the whole machine.

    Args:
        root: Of the file system, for tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        groups = _groups(root / "proc/self/cgroup")
        mounted = root / "sys/fs/cgroup"
        v2, v1 = groups.get("", ""), groups.get("memory", "")
        self._counts = [
            *([mounted / v2 / "memory.events", mounted / "memory.events"] if "" in groups else []),
            *([mounted / "memory" / v1 / "memory.oom_control"] if "memory" in groups else []),
            root / "proc/vmstat",
        ]
        self._limits = [
            mounted / v2 / "memory.max",
            mounted / "memory.max",
            mounted / "memory" / v1 / "memory.limit_in_bytes",
        ]

    def kills(self) -> int | None:
        """How many there have been; ``None`` where the kernel does not report that."""
        for path in self._counts:
            with suppress(OSError, ValueError):
                for line in path.read_text().splitlines():
                    name, _, value = line.partition(" ")
                    if name == "oom_kill":
                        return int(value)
        return None

    def has_killed_since(self, before: int | None) -> bool:
        """Whether there were more kills than ``before``."""
        kills = self.kills()
        return kills is not None and before is not None and kills > before

    def limit_mib(self) -> int | None:
        """Memory that the control group may have; ``None`` when that is not limited."""
        for path in self._limits:
            with suppress(OSError, ValueError):
                limit = int(path.read_text())
                return None if limit >= 1 << 60 else limit // _MIB  # v1 writes "no limit" as a huge number
        return None


def _groups(file: Path) -> dict[str, str]:
    """The control groups of this process: path by controller, "" for version 2's."""
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in file.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            found |= dict.fromkeys(controllers.split(","), path.lstrip("/"))
    return found
