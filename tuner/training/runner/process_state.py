"""Saves the state of the process before a run, and restores it afterwards."""

from __future__ import annotations

import builtins
import concurrent.futures.thread
import json
import os
import pickle
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

_MODULES: tuple[ModuleType, ...] = (builtins, json, os, pickle, random, signal, threading, time)
"""Modules whose functions are restored: those that all code relies on, and that are patched most often."""
_JOIN_SECONDS = 0.2
"""For threads that are just ending."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGABRT)


class ProcessState:
    """The state of the process when this is made: its folder, environment, signals, threads, streams, and functions."""

    def __init__(self) -> None:
        self._folder = os.getcwd()
        self._umask = _umask()
        self._environment = dict(os.environ)
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._streams = (sys.stdout, sys.stderr)
        self._threads = set(threading.enumerate())
        self._functions = {(module, name): value for module in _MODULES for name, value in _functions(module).items()}

    def restore(self) -> str:
        """Restore what can be restored.

        Returns:
            What cannot, or might live on elsewhere, in words: threads that go on, functions of the standard library
            replaced. Empty when the process is as before.
        """
        try:
            left = [*self._restore_functions(), *self._threads_left()]
            sys.stdout, sys.stderr = self._streams
            os.chdir(self._folder)
            os.umask(self._umask)
            _restore_environment(self._environment)
            for number, handler in self._handlers.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
        except Exception as error:
            return f"a process that cannot be restored ({type(error).__name__}: {error})"
        return ", ".join(left)

    def _restore_functions(self) -> list[str]:
        replaced = []
        for (module, name), function in self._functions.items():
            if getattr(module, name, None) is not function:
                setattr(module, name, function)
                replaced.append(f"{module.__name__}.{name} replaced")
        return replaced

    def _threads_left(self) -> list[str]:
        """Threads that would keep the process from ending; daemons are how libraries do things on the side."""
        new = [thread for thread in threading.enumerate() if thread not in self._threads and not thread.daemon]
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in new:
            if not _waits_in_a_pool(thread):
                thread.join(max(0.0, deadline - time.monotonic()))
        return [f"the thread {thread.name!r}" for thread in new if thread.is_alive() and not _waits_in_a_pool(thread)]


def _waits_in_a_pool(thread: threading.Thread) -> bool:
    """Whether a thread is an idle one of a ``ThreadPoolExecutor``."""
    frame = None if thread.ident is None else sys._current_frames().get(thread.ident)
    return frame is not None and frame.f_code is concurrent.futures.thread._worker.__code__


def _functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    return {name: value for name, value in vars(module).items() if callable(value) and not name.startswith("__")}


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _restore_environment(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
