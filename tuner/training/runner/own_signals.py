"""Writes down when the code of a run sends a deadly signal to its own process: from outside, both look the same."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from typing import Any, Final

NOTE: Final = "the code of the run sent its own process"
"""How the line on standard error begins; the name of the signal follows."""
_DEADLY: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP})
_EVERYONE: Final = -1


def announce_own_signals() -> None:
    """Write a line before `os.kill`, `os.killpg` or `signal.raise_signal` ends this process, from now on."""
    process, group = os.getpid(), os.getpgrp()
    _announce(os, "kill", hits=lambda target, *_: target in {process, -group, 0, _EVERYONE})
    _announce(os, "killpg", hits=lambda target, *_: target in {0, group})
    _announce(signal, "raise_signal", hits=lambda *_: os.getpid() == process)  # not in a copy of it


def _announce(module: Any, name: str, *, hits: Callable[..., bool]) -> None:
    """Wrap a function whose last argument is a signal; ``hits`` says whether its arguments mean this process."""
    send: Callable[..., None] = getattr(module, name)

    @functools.wraps(send)
    def announced(*arguments: int) -> None:
        if arguments and arguments[-1] in _DEADLY and hits(*arguments):
            os.write(2, f"{NOTE} {signal.Signals(arguments[-1]).name}\n".encode())
        send(*arguments)

    setattr(module, name, announced)
