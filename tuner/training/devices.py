"""The device of a training, and the process settings that make it repeatable there."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tuner.errors import InvalidValue

THREADS_VARIABLE = "TUNER_THREADS"


def resolve_device(name: str) -> torch.device:
    """The device that ``name`` (``"cpu"``, ``"cuda"``, ``"cuda:1"``) means here, with its index.

    Raises:
        InvalidValue: There is no such device on this machine.
    """
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    full = "cuda:0" if name == "cuda" else name
    if full not in devices:
        raise InvalidValue("device", value=name, allowed=f"one of {', '.join(devices)} on this machine")
    return torch.device(full)


def cpu_threads(threads: int | None) -> int:
    """How many threads one operation may use on CPU: the argument, else ``TUNER_THREADS``, else 1.

    One is the default because small models gain nothing from a second, several workers share the cores, and sums are
    then taken in the same order on every machine.

    Raises:
        InvalidValue: Not an integer of at least 1.
    """
    value = os.environ.get(THREADS_VARIABLE, "1") if threads is None else str(threads)
    if not value.isdecimal() or int(value) < 1:
        raise InvalidValue("threads", value=value, allowed="an integer of at least 1")
    return int(value)


@contextmanager
def deterministic_algorithms(device: torch.device, *, threads: int | None) -> Iterator[None]:
    """Inside, the same seed gives the same numbers on CPU: a fixed number of threads, and deterministic algorithms.

    On CUDA the deterministic algorithms are slower and some are missing, so nothing is changed there: two runs with one
    seed agree to rounding. Settings are put back at the end.
    """
    if device.type != "cpu":
        yield
        return
    threads_before, mode_before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(cpu_threads(threads))
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms loads the compiler: seconds
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_deterministic_debug_mode(mode_before)


def free_memory(device: torch.device) -> None:
    """Give back the device memory of a training that nothing but reference cycles holds any more."""
    if device.type == "cuda":
        gc.collect()  # takes as long as a short run, so CPU memory is left to the collector's own rhythm
        torch.cuda.empty_cache()
