"""Whether an error says that memory ran out, and what is told then."""

from __future__ import annotations

import mmap

import numpy as np
import pytest
import torch

from tuner.training.runner.memory import out_of_memory, peak_memory, reset_peak_memory
from tuner.training.runner.out_of_memory import MemoryUse

CPU = torch.device("cpu")


def raised(call) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_errors_for_lack_of_memory_are_known(error):
    assert out_of_memory(error)


def test_the_real_ones_of_numpy_and_torch_are_known():
    assert out_of_memory(raised(lambda: np.empty(1 << 60, dtype=np.uint8)))
    assert out_of_memory(raised(lambda: torch.empty(1 << 60, dtype=torch.uint8)))


def test_a_lack_of_memory_behind_another_error_is_known():
    def wrapped() -> None:
        try:
            raise MemoryError
        except MemoryError as error:
            raise RuntimeError("the step failed") from error

    assert out_of_memory(raised(wrapped))


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shapes"), SystemExit(1)])
def test_other_errors_are_not_taken_for_it(error):
    assert not out_of_memory(error)


def test_the_peak_is_that_since_the_reset():
    size = 64 * 1024 * 1024
    reset_peak_memory(CPU)
    before = peak_memory(CPU).peak_mib
    with mmap.mmap(-1, size) as block:
        for page in range(0, size, mmap.PAGESIZE):
            block[page] = 1
    during = peak_memory(CPU).peak_mib
    reset_peak_memory(CPU)
    after = peak_memory(CPU).peak_mib
    assert before + 60 <= during
    assert after <= during - 50


def test_the_options_that_matter_are_named_the_batch_first():
    use = MemoryUse(peak_mib=3210, limit_mib=4096, limit="of the card")
    options = {"width": 512, "lr_scale": 2, "batch_size": 128, "augment_batch": True, "seq_len": 1024, "name": "batch"}
    assert use.advice(options=options) == (
        "Most memory seen: 3,210 MiB; the limit is 4,096 MiB (of the card). What usually helps: a smaller batch_size "
        "(it is 128), a smaller width (it is 512), a smaller seq_len (it is 1,024), or a worker with more memory."
    )


def test_without_such_options_and_figures_the_advice_is_general():
    assert MemoryUse(peak_mib=None, limit_mib=None, limit="").advice(options={}) == (
        "Most memory seen: unknown. What usually helps: smaller batches, shorter sequences or a smaller model, "
        "or a worker with more memory."
    )
