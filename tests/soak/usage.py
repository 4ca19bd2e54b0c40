"""Memory and descriptors of the processes of a soak."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.soak.site import Process


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Of one process."""

    memory_mib: float
    """Resident set."""
    descriptors: int

    def __str__(self) -> str:
        return f"{self.memory_mib:.0f} MiB, {self.descriptors} descriptors"


def usage(process: Process) -> Usage | None:
    """What a process uses now; ``None`` while it is down."""
    folder = Path(f"/proc/{process.pid}")
    try:
        lines = (folder / "status").read_text().splitlines()
        kib = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        return Usage(memory_mib=kib / 1024, descriptors=_open_files(folder / "fd"))
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return None


def _open_files(folder: Path) -> int:
    try:
        return len(list(folder.iterdir()))
    except PermissionError:  # our processes are private, so that root alone lists them; Linux 6.2 counts them for all
        return folder.stat().st_size
