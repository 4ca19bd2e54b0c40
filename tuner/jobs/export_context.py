"""The run that an export of a job's schedule is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tuner.errors import InvalidValue
from tuner.exports import TargetRun
from tuner.jobs.options import OPTIMIZER, batch_size
from tuner.jobs.spec import JobSpec
from tuner.metric import DEFAULT_METRIC, Metric


def export_context(
    spec: JobSpec, *, options: Mapping[str, Any], metric: Metric = DEFAULT_METRIC, total_steps: int | None = None
) -> TargetRun:
    """The run that a job's schedule is exported for.

    Args:
        spec: The job.
        options: The searched options, with the values that the schedule was trained with.
        metric: What the job's runs are measured by.
        total_steps: Updates of the run; the job's horizon when ``None``.

    Returns:
        The run, with the batch size and the optimizer of the workload's options.
    """
    horizon = spec.search.total_steps
    steps = horizon if total_steps is None else total_steps
    trained_with = {**spec.options, **options}
    run = TargetRun(
        total_steps=steps,
        batch_size=batch_size(trained_with),
        found_with=options,
        fitted_from=None if steps == horizon else horizon,
        metric=metric,
    )
    try:
        return replace(run, optimizer=str(trained_with.get(OPTIMIZER) or ""))
    except InvalidValue:
        return run  # an option of that name that does not name an optimizer
