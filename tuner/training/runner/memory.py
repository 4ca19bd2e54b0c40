"""Memory that a run took in this process, and whether it ended for lack of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from tuner.training.runner.out_of_memory import MemoryUse

_MIB = 1024 * 1024
_NAMES = frozenset({"OutOfMemoryError", "ArrayMemoryError"})
_WORDS = ("can't allocate memory", "cannot allocate memory", "out of memory", "cublas_status_alloc_failed")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that there was not enough memory, on the host or the device."""
    return any(_says_so(part) for part in _chain(error))


def reset_peak_memory(device: torch.device) -> None:
    """Count the peak from now on."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, see proc(5)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> MemoryUse:
    """The most memory that this process had since `reset_peak_memory`, of a CUDA device or else of the host."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        peak = torch.cuda.max_memory_allocated(device)
        return MemoryUse(peak_mib=peak // _MIB, limit_mib=total // _MIB, limit=f"the memory of {device}")
    return MemoryUse(
        peak_mib=_host_peak_mib(), limit_mib=_data_limit_mib(), limit="TUNER_RUNNER_MEMORY_MB of the worker"
    )


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ in _NAMES:
        return True
    try:
        return isinstance(error, RuntimeError | OSError) and any(word in str(error).lower() for word in _WORDS)
    except Exception:
        return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    part: BaseException | None = error
    while part is not None and id(part) not in seen:
        seen.add(id(part))
        yield part
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)


def _host_peak_mib() -> int | None:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    return None


def _data_limit_mib() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return None if limit == resource.RLIM_INFINITY else limit // _MIB
