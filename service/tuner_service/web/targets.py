"""Where a login may lead to."""

from __future__ import annotations

import re

HOME = "/"
# A browser drops tabs and line ends, takes a backslash for a slash, and reads what follows two slashes as a host.
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
_MAX_CHARACTERS = 2_000


def local_target(wanted: str) -> str:
    """A path of this service, for where somebody asked to be led; the home page instead of anything else."""
    fits = len(wanted) <= _MAX_CHARACTERS and _LOCAL.fullmatch(wanted)
    return wanted if fits and wanted.isascii() else HOME
