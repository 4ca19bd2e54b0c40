"""What an export of a job's schedule says of the run that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tuner.errors import InvalidValue
from tuner.exports import TargetRun
from tuner.jobs.options import OPTIMIZER, batch_size
from tuner.jobs.spec import JobSpec


def export_context(spec: JobSpec, *, options: Mapping[str, Any], total_steps: int | None = None) -> TargetRun:
    """The run that a job's schedule is exported for.

    Args:
        spec: The job.
        options: Those that were searched along with the schedule, with the values that it was trained with.
        total_steps: Updates of the run; the job's horizon when ``None``.

    Returns:
        The run, with what the workload's options tell about batch size and optimizer.
    """
    horizon = spec.search.total_steps
    steps = horizon if total_steps is None else total_steps
    trained_with = {**spec.options, **options}
    run = TargetRun(
        total_steps=steps,
        batch_size=batch_size(trained_with),
        found_with=options,
        fitted_from=None if steps == horizon else horizon,
    )
    try:
        return replace(run, optimizer=str(trained_with.get(OPTIMIZER) or ""))
    except InvalidValue:
        return run  # a workload's own option of that name, and no name of an optimizer
