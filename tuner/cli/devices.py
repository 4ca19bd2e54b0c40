"""What `tuner up` can give a worker each: the CUDA devices of this machine, found without loading torch."""

from __future__ import annotations

import os


def local_devices() -> tuple[str, ...]:
    """``("cuda:0", "cuda:1", ...)``, or ``("cpu",)`` on a machine without one.

    Where ``CUDA_VISIBLE_DEVICES`` is set, no more than it lists.
    """
    count = _count_nvidia_devices()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        count = min(count, len([part for part in visible.split(",") if part.strip() not in {"", "-1"}]))
    return tuple(f"cuda:{index}" for index in range(count)) or ("cpu",)


def _count_nvidia_devices() -> int:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        return int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()
