"""Validates the target of a login."""

from __future__ import annotations

import re

HOME = "/"
# Browsers drop tabs and line ends, treat a backslash as a slash, and parse what follows two slashes as a host.
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
_MAX_CHARACTERS = 2_000


def local_target(target: str) -> str:
    """The target if it is a path of this service, otherwise the home page (no open redirects)."""
    is_local = len(target) <= _MAX_CHARACTERS and _LOCAL.fullmatch(target)
    return target if is_local and target.isascii() else HOME
