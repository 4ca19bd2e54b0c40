"""Studies in several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_parallel(work: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int) -> Iterator[Result]:
    """The results of all jobs, in their order, with a count of those that are done on standard error."""
    # The matrices are small: threads of the linear algebra would only wait for each other.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(workers) as pool:
        for done, result in enumerate(pool.map(work, jobs), start=1):
            print(f"\r{done} of {len(jobs)} studies", end="", file=sys.stderr, flush=True)
            yield result
    print(file=sys.stderr)
