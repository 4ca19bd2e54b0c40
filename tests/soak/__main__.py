"""Faults of all kinds, against a real service and real workers, on SQLite and PostgreSQL: ``python -m tests.soak``.

Exit code 0 when nothing was lost, recorded twice, stuck, or failed for want of machines; 1 otherwise.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.soak.audit import audit
from tests.soak.faults import faults_for
from tests.soak.jobs import Clients
from tests.soak.site import LEASE_SECONDS, Site
from tests.soak.table import Result, table
from tests.soak.timetable import timetable
from tests.soak.usage import Usage, usage

_DATABASES = ("sqlite", "postgres")
_EVERY_SECONDS = 5.0
_LONGEST_SECONDS = 2.5 * LEASE_SECONDS
_START_SECONDS = 120.0
_SETTLE_SECONDS = 180.0
"""After the last fault, all open jobs must end within this time."""
_DISK_MIB = 96
_INSIDE = "TUNER_SOAK_MOUNTS"
_FAKETIME = ("usr/lib/*/faketime/libfaketime.so.1", "usr/local/lib/faketime/libfaketime.so.1")


def main(arguments: Sequence[str]) -> int:
    """Soak each database in turn, and print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="of all databases together (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="of the faults and of the searches (default 1)")
    parser.add_argument("--database", choices=_DATABASES, action="append", help="default: both")
    parser.add_argument("--keep", type=Path, help="folder for the logs, which are deleted otherwise")
    chosen = parser.parse_args(arguments)
    if os.geteuid() == 0 and _INSIDE not in os.environ and shutil.which("unshare"):
        return _again_with_mounts(arguments)
    databases = tuple(chosen.database or _DATABASES)
    with _folder(chosen.keep) as folder:
        seconds = 60.0 * chosen.minutes / len(databases)
        results = [_soak(name, seconds=seconds, seed=chosen.seed, folder=folder / name) for name in databases]
    print(table(results, left_out=_left_out()), flush=True)
    return 0 if all(result.is_clean for result in results) else 1


def _soak(database: str, *, seconds: float, seed: int, folder: Path) -> Result:
    folder.mkdir(parents=True)
    began = time.monotonic()
    with ExitStack() as stack:
        site = Site(folder, disk=stack.enter_context(_disk(folder)), kind=database, faketime=_faketime(folder))
        stack.callback(site.close)
        clients = Clients(site, seed=1000 * seed)
        stack.callback(clients.close)
        if not site.wait(_START_SECONDS, until=lambda: bool(clients.accepted)):
            raise SystemExit(f"no job was accepted within {_START_SECONDS:.0f} s: read the logs in {folder} (--keep)")
        before = [usage(process) for process in site.processes]
        injected = _inject(site, began=time.monotonic(), seconds=seconds, seed=seed)
        clients.close()
        _say(f"{database}: all faults are over, {len(clients.accepted)} jobs were submitted")
        site.wait(_SETTLE_SECONDS, until=clients.all_ended)
        after = [usage(process) for process in site.processes]
        for process in site.processes:
            process.end()
        return Result(
            database=database,
            seconds=time.monotonic() - began,
            faults=injected,
            audit=audit(site, accepted=clients.accepted, damaged=injected["damaged snapshots"]),
            ended_themselves=tuple(
                f"{process.name} ended with {code}" for process in site.processes for code in process.ended_itself
            ),
            refused=tuple(clients.refused),
            usage=tuple(
                (process.name, _shown(first), _shown(last))
                for process, first, last in zip(site.processes, before, after, strict=True)
            ),
        )


def _inject(site: Site, *, began: float, seconds: float, seed: int) -> Counter[str]:
    kinds = faults_for(site, mounts=_has_mounts())
    rng = random.Random(seed)
    injected: Counter[str] = Counter()
    for planned in timetable(tuple(kinds), seconds=seconds, every=_EVERY_SECONDS, longest=_LONGEST_SECONDS, seed=seed):
        site.wait(began + planned.at - time.monotonic())
        if time.monotonic() - began + planned.seconds > seconds:
            break
        _say(f"{site.kind}: {time.monotonic() - began:5.0f} s  {planned.kind} for {planned.seconds:.1f} s")
        kinds[planned.kind](site, rng, planned.seconds)
        injected[planned.kind] += 1
    return injected


def _again_with_mounts(arguments: Sequence[str]) -> int:
    """Run in a mount namespace of our own, whose mounts end with it; without one where that is not allowed."""
    own = ["unshare", "--mount", "--propagation", "private"]
    allowed = subprocess.run([*own, "mount", "-t", "tmpfs", "soak", "/mnt"], capture_output=True, check=False)
    environment = {**os.environ, _INSIDE: "yes" if allowed.returncode == 0 else "no"}
    command = [*(own if allowed.returncode == 0 else []), sys.executable, "-m", "tests.soak", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def _has_mounts() -> bool:
    return os.environ.get(_INSIDE) == "yes"


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A disk that can be filled, where mounts are allowed; a folder otherwise."""
    disk = folder / "disk"
    disk.mkdir()
    if not _has_mounts():
        yield disk
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m,mode=0755", "soak", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="tuner-soak-") as folder:
        yield Path(folder)


def _faketime(folder: Path) -> tuple[Path, Path] | None:
    """libfaketime, where it is installed, and the file that it reads the offset from."""
    found = [path for pattern in _FAKETIME for path in Path("/").glob(pattern)]
    package = importlib.util.find_spec("libfaketime")
    if package is not None and package.origin is not None:
        found += Path(package.origin).parent.rglob("libfaketime.so.1")
    if not found:
        return None
    file = folder / "clock"
    file.write_text("+0\n")
    return found[0], file


def _left_out() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        clock = _faketime(Path(folder))
    reasons = {
        "full and read-only disks (they need root and a mount namespace)": _has_mounts(),
        "clock jumps (libfaketime is not installed)": clock is not None,
    }
    return [reason for reason, possible in reasons.items() if not possible]


def _shown(used: Usage | None) -> str:
    return "down" if used is None else str(used)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
