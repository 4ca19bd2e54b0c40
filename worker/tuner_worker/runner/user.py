"""The user that training code runs as: another one than the worker's cannot read what is the worker's."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import InvalidValue

_FIELD = "runner_user"
_CAPABILITIES = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
"""What a worker needs to start and to end processes of another user, with the kernel's numbers."""


@dataclass(frozen=True, kw_only=True)
class RunnerUser:
    """A user of this machine."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    """All groups, the first one included."""
    home: str

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that name the user."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}


def find_user(name: str) -> RunnerUser | None:
    """The user of a setting; ``None`` where it is empty.

    Args:
        name: A name or a number.

    Raises:
        InvalidValue: There is no such user, it is root or the worker's own, or this process may not become it.
    """
    if not name:
        return None
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        raise InvalidValue(_FIELD, value=name, allowed="a user of this machine") from None
    if entry.pw_uid in (0, os.geteuid()):
        raise InvalidValue(_FIELD, value=name, allowed="another user than root and the worker's own")
    missing = _missing_capabilities()
    if missing:
        hint = f"Start the worker as root, or with {', '.join(missing)} too (setpriv --ambient-caps)"
        raise InvalidValue(_FIELD, value=name, allowed="a user that the worker may become", hint=hint)
    return RunnerUser(
        name=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        groups=tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)),
        home=entry.pw_dir,
    )


def open_folders(data_dir: Path, *, user: RunnerUser) -> None:
    """Let the user write snapshots, and pass through the data folder without seeing what else is in it.

    The snapshots' folder gets the user's group, which the worker deletes them by.

    Raises:
        InvalidValue: The worker's user is not in that group.
    """
    snapshots = data_dir / "snapshots"
    snapshots.mkdir(parents=True, exist_ok=True)
    try:
        os.chown(snapshots, -1, user.gid)
        snapshots.chmod(0o2770)
        mode = data_dir.stat().st_mode & 0o777
        if not mode & 0o001:
            os.chown(data_dir, -1, user.gid)
            data_dir.chmod(mode & 0o700 | 0o010)
    except PermissionError as error:
        hint = f"Add the worker's user to group {user.gid}, and let it own {data_dir} ({error.strerror})"
        raise InvalidValue(_FIELD, value=user.name, allowed="a user whose group the worker is in", hint=hint) from error


def _missing_capabilities() -> list[str]:
    if os.geteuid() == 0:
        return []
    lines = Path("/proc/self/status").read_text().splitlines() if Path("/proc/self/status").exists() else []
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return [name for name, number in _CAPABILITIES.items() if not effective >> number & 1]
