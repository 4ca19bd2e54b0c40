"""The libraries that exports are for, as far as they are installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

MODULES = {"timm": "timm", "megatron": "megatron.core", "composer": "composer", "keras": "keras", "optax": "optax"}
_HOW = "`make test-exports` installs what works with this torch; docs/exports.md describes the check of Composer"


def needed(module: str) -> None:
    try:
        found = module in sys.modules or find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        pytest.skip(f"{module} is not installed, so its exports go unchecked: {_HOW}")
