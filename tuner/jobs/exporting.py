"""What an export of a job's schedule says of the run that it is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tuner.errors import InvalidValue
from tuner.exports import Run
from tuner.jobs.spec import JobSpec

BATCH_SIZE: Final = "batch_size"
"""Name of the option that workloads tell the samples of one update by."""
OPTIMIZER: Final = "optimizer"
"""Name of the option that workloads choose their optimizer by."""


def exported_run(spec: JobSpec, *, total_steps: int | None = None) -> Run:
    """The run that a job's schedule is exported for.

    Args:
        spec: The job.
        total_steps: Updates of the run; the job's horizon when ``None``.

    Returns:
        The run, with what the workload's options tell about batch size and optimizer.
    """
    horizon = spec.search.total_steps
    steps = horizon if total_steps is None else total_steps
    batch_size, optimizer = spec.options.get(BATCH_SIZE), spec.options.get(OPTIMIZER)
    is_size = isinstance(batch_size, int) and not isinstance(batch_size, bool) and batch_size > 0
    run = Run(
        total_steps=steps,
        batch_size=batch_size if is_size else None,
        fitted_from=None if steps == horizon else horizon,
    )
    try:
        return replace(run, optimizer=str(optimizer or ""))
    except InvalidValue:
        return run  # a workload's own option of that name, and no name of an optimizer
