"""Training code that ends its process: a check, which shares the process, would end without a report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class ProcessEnd(BaseException):
    """The training code called ``os._exit``. Raised in place of the exit; not an `Exception`, as no exit is one."""


@contextmanager
def recorded_process_ends() -> Iterator[list[str]]:
    """Record calls of ``os._exit``, which raise `ProcessEnd` inside the context instead.

    Processes that were forked meanwhile end as they mean to.

    Yields:
        One sentence for each call, also of a thread beside the training.
    """
    end, process = os._exit, os.getpid()
    calls: list[str] = []

    def record(status: int) -> NoReturn:
        if os.getpid() != process:
            end(status)
        calls.append(
            f"it called os._exit({status}), which ends the process of the run at once: let the training return, or "
            "raise an error"
        )
        raise ProcessEnd(calls[-1])

    os._exit = record
    try:
        yield calls
    finally:
        os._exit = end
