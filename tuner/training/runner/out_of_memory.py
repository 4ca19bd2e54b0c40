"""The message about a run that lacked memory. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_GROWS_WITH = re.compile(r"batch|seq|context|length|width|hidden|embed|layers|depth|dim|workers", re.IGNORECASE)
"""Names of options that memory usually grows with."""


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """The most memory that a run was seen to have, and what it could have."""

    peak_mib: int | None
    """``None`` when it is not known."""
    limit_mib: int | None
    """``None`` when there was no limit but the machine's."""
    limit: str
    """What set the limit."""

    def advice(self, *, options: Mapping[str, Any]) -> str:
        """The figures, and what usually helps, with the options of the run by name where they are known to matter."""
        peak = "unknown" if self.peak_mib is None else f"{self.peak_mib:,} MiB"
        limit = "" if self.limit_mib is None else f"; the limit is {self.limit_mib:,} MiB ({self.limit})"
        return f"Most memory seen: {peak}{limit}. What usually helps: {_remedies(options)}."


def _remedies(options: Mapping[str, Any]) -> str:
    numbers = {name: value for name, value in options.items() if isinstance(value, int) and not isinstance(value, bool)}
    by_name = sorted((name for name in numbers if _GROWS_WITH.search(name)), key=lambda name: "batch" not in name)
    advice = [f"a smaller {name} (it is {numbers[name]:,})" for name in by_name]
    return (
        ", ".join(advice or ["smaller batches, shorter sequences or a smaller model"])
        + ", or a worker with more memory"
    )
