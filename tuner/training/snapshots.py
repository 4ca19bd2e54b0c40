"""Snapshots: states that a run can be resumed from, bit for bit on CPU.

A snapshot is one file, ``step-<updates done>.pt``. It is written beside its final name, forced to the disk and renamed,
so that a crash at any moment leaves the whole file or none of it. It is read with ``weights_only``, so that a file from
elsewhere cannot run code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tuner.errors import TunerError, WorkloadError
from tuner.jobs.records import SnapshotRef

FORMAT = 2
RETAINED = 2
"""Newest snapshots that stay in a folder: the second is there should the first prove unreadable."""

_log = logging.getLogger(__name__)
_PLAIN = {torch.Size, torch.dtype, torch.device, str, bytes, int, float, bool, type(None)}  # and tensors of any kind


class SnapshotUnusable(TunerError):
    """The file is torn, of another format, or belongs to another run: the run starts from update 0."""


def fingerprint(**identity: Any) -> str:
    """Identifies runs whose snapshots are compatible: a digest of plain values."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def write_snapshot(folder: Path, *, step: int, run: str, content: dict[str, Any]) -> SnapshotRef:
    """Write a snapshot and remove all but the newest `RETAINED` of the folder.

    Args:
        folder: Made when needed.
        step: Updates done, at least 0.
        run: The run's `fingerprint`.
        content: Tensors, numbers, strings and containers of those.

    Raises:
        WorkloadError: ``content`` holds a value of another type, which could be written but never read again.
        OSError: The disk is full or not writable; what was there before is untouched.
    """
    check_plain(content, where="state_dict()")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:012d}.pt"
    unfinished = path.with_suffix(".tmp")
    try:
        with unfinished.open("wb") as file:
            torch.save({"format": FORMAT, "run": run, "step": step, "content": content}, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except (OSError, RuntimeError) as error:  # torch wraps what the file raised
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise OSError(f"cannot write the snapshot {path}: {error}") from error
    _sync_folder(folder)
    for old in snapshots_in(folder)[RETAINED:]:
        old.unlink(missing_ok=True)
    return SnapshotRef(step=step, path=str(path))


def read_snapshot(path: Path, *, run: str) -> tuple[int, dict[str, Any]]:
    """Read a snapshot into CPU memory.

    Returns:
        Updates done, and the content.

    Raises:
        SnapshotUnusable: There is no such file, it is torn or of another format, or it belongs to another run.
    """
    try:
        snapshot = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SnapshotUnusable(f"{path} is not there: it was deleted, or is on another machine") from None
    except Exception as error:  # torn files fail in many ways: zip, pickle, end of file
        raise SnapshotUnusable(f"{path} cannot be read: {type(error).__name__}") from error
    if not isinstance(snapshot, dict) or snapshot.get("format") != FORMAT:
        raise SnapshotUnusable(f"{path} is not a snapshot of format {FORMAT}")
    if snapshot["run"] != run:
        raise SnapshotUnusable(f"{path} belongs to another run: workload, options, schedule, horizon or seed differ")
    return snapshot["step"], snapshot["content"]


def newest_usable(wanted: SnapshotRef, *, run: str) -> tuple[int, dict[str, Any]] | None:
    """The wanted snapshot, else the newest readable one beside it, else ``None``; each refusal is logged."""
    first = Path(wanted.path)
    for path in (first, *(path for path in snapshots_in(first.parent) if path != first)):
        try:
            return read_snapshot(path, run=run)
        except SnapshotUnusable as refusal:
            _log.warning("snapshot refused: %s", refusal)
    return None


def snapshots_in(folder: Path) -> list[Path]:
    """The finished snapshots of a folder, newest first; empty when there is no such folder."""
    return sorted(folder.glob("step-*.pt"), reverse=True)


def _sync_folder(folder: Path) -> None:
    """Force the renaming itself to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_plain(value: object, *, where: str) -> None:
    """See to it that a snapshot can hold a value.

    Raises:
        WorkloadError: It holds something else than tensors, numbers, strings and containers of those.
    """
    for place, leaf in leaves(value, where=where):
        if type(leaf) not in _PLAIN and not isinstance(leaf, torch.Tensor):
            raise WorkloadError(
                f"{place} is a {type(leaf).__module__}.{type(leaf).__name__}; "
                "a snapshot holds tensors, numbers, strings, and dicts, lists and tuples of those"
            )


def leaves(value: Any, *, where: str) -> Iterator[tuple[str, object]]:
    """What is in a value that is no container, each with its place in it."""
    if type(value) in (dict, OrderedDict):
        for key, item in value.items():
            yield from leaves(item, where=f"{where}[{key!r}]")
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            yield from leaves(item, where=f"{where}[{index}]")
    else:
        yield where, value
