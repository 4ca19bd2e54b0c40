"""Reads a job's options: where its search starts, the batch size, the optimizer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tuner.jobs.spec import JobSpec
from tuner.schedules.scaling import ScalingRule
from tuner.search.configuration import OptionValues, option_values
from tuner.search.sampler.options import BATCH_SIZE, SearchedOptions

OPTIMIZER: Final = "optimizer"
"""Name of the option that selects a workload's optimizer."""


def usual_options(spec: JobSpec) -> OptionValues:
    """The job's values of the searched options, or the nearest ones in the search's ranges."""
    ranges = spec.search.options
    if not ranges:
        return ()
    given = option_values({name: spec.options[name] for name in ranges if name in spec.options})
    return SearchedOptions(ranges, usual=given).usual


def batch_rule(options: Mapping[str, Any]) -> ScalingRule:
    """How the best peak scales with the batch size: linearly for SGD, by the square root otherwise.

    Args:
        options: The workload's options.
    """
    return ScalingRule.LINEAR if options.get(OPTIMIZER) == "sgd" else ScalingRule.SQRT


def batch_size(options: Mapping[str, Any]) -> int | None:
    """Samples of one update; ``None`` where the options have no batch size."""
    size = options.get(BATCH_SIZE)
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None
