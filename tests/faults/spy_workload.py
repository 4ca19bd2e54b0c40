"""Training code that looks for the database's password in every place that it can reach."""

from __future__ import annotations

import ctypes
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tuner.search.space import OptimizerKind
from tuner.training.options import WorkloadOptions
from tuner.training.run import TrainingRun
from tuner.training.workload import OpaqueWorkload

NEEDLE = re.compile(rb"needle-[0-9a-f]{16}")
"""What the passwords of the test look like; none of them is in the memory of this process."""
_MOST_BYTES = 1 << 17
_MOST_LEVELS = 4
_PTRACE_SEIZE, _PTRACE_DETACH = 0x4206, 17
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438


class SpyOptions(WorkloadOptions):
    folder: str = Field(default="", description="Where it writes what it has found, and looks for more.")


class Spy(OpaqueWorkload):
    """Writes what it has found to ``found.json``: by place, whether it was reached, and passwords seen there."""

    name: ClassVar[str] = "spy"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Looks for secrets."
    default_steps: ClassVar[int] = 10
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    Options = SpyOptions

    def train(self, run: TrainingRun, options: SpyOptions) -> None:
        folder = Path(options.folder)
        found = {name: sorted({one.decode() for one in look(folder)}) for name, look in PLACES.items()}
        found["traced"] = [str(pid) for pid in others() if traces(pid)]
        found["descriptors"] = [str(pid) for pid in others() if takes_a_descriptor(pid)]
        found["me"] = [str(os.getuid()), str(os.getgid())]
        found["worker"] = [str(os.getppid())]
        (folder / "found.json").write_text(json.dumps(found))
        run.report(run.total_steps, value=1.0)


def others() -> Iterator[int]:
    """All other processes."""
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
    yield from (pid for pid in pids if pid != os.getpid())


def needles(path: Path) -> Iterator[bytes]:
    with suppress(OSError), path.open("rb") as file:
        yield from NEEDLE.findall(file.read(_MOST_BYTES))


def in_environment(folder: Path) -> Iterator[bytes]:
    yield from NEEDLE.findall(repr(dict(os.environ)).encode())


def in_what_the_kernel_shows(folder: Path) -> Iterator[bytes]:
    for pid in others():
        for name in ("environ", "cmdline", "auxv", "stack", "syscall", "task/../environ"):
            yield from needles(Path(f"/proc/{pid}/{name}"))


def in_memory(folder: Path) -> Iterator[bytes]:
    for pid in others():
        with suppress(OSError, ValueError), open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                with suppress(OSError, ValueError, OverflowError):
                    memory.seek(start)
                    yield from NEEDLE.findall(memory.read(end - start) or b"")


def in_open_files(folder: Path) -> Iterator[bytes]:
    for pid in others():
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                if descriptor.is_file():
                    yield from needles(descriptor)


def in_files(folder: Path) -> Iterator[bytes]:
    """Where secrets lie: beside the data, in the home, where containers have them, where databases have theirs."""
    roots = (folder, Path.home(), Path("/run/secrets"), Path("/etc"), Path("/var/lib"), Path("/tmp"), Path.cwd())
    for root in roots:
        for directory, folders, names in os.walk(root):
            deep = len(Path(directory).parts) - len(root.parts) >= _MOST_LEVELS
            folders[:] = [] if deep else [name for name in folders if name not in (".git", ".venv")]
            for path in (Path(directory, name) for name in names):
                with suppress(OSError):
                    if path.is_file() and not path.is_symlink():
                        yield from needles(path)


def traces(pid: int) -> bool:
    libc = ctypes.CDLL(None)
    if libc.ptrace(_PTRACE_SEIZE, pid, 0, 0) != 0:
        return False
    libc.ptrace(_PTRACE_DETACH, pid, 0, 0)
    return True


def takes_a_descriptor(pid: int) -> bool:
    libc = ctypes.CDLL(None)
    process = libc.syscall(_PIDFD_OPEN, pid, 0)
    return any(libc.syscall(_PIDFD_GETFD, process, number, 0) >= 0 for number in range(64))


PLACES: dict[str, Callable[[Path], Iterator[bytes]]] = {
    look.__name__: look for look in (in_environment, in_what_the_kernel_shows, in_memory, in_open_files, in_files)
}
