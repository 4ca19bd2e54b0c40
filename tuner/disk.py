"""Whether a folder can be written to: a full, read-only or lost disk is no fault of the code that wanted to write."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path

LEAST_FREE_BYTES = 1024 * 1024
"""A disk with less free space counts as full."""
_OF_DISKS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})


def is_disk_error(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, says that a disk is full, read-only, broken or gone."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _OF_DISKS:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def disk_trouble(folder: Path) -> str | None:
    """Why the disk of a folder takes nothing, in words; ``None`` where it does. The folder is not made when missing."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    try:
        free = shutil.disk_usage(existing).free
        if free < LEAST_FREE_BYTES:
            return f"the disk of {existing} is full: {free:,} bytes are free"
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        # Without the right to write there, the disk is not to blame.
        return f"{existing} cannot be written to: {error.strerror}" if is_disk_error(error) else None
    return None
