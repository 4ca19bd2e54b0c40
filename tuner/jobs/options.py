"""What a job's options say: which the search begins with, and what is known of batch size and optimizer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tuner.jobs.spec import JobSpec
from tuner.schedules.scaling import ScalingRule
from tuner.search.configuration import OptionValues, option_values
from tuner.search.sampler.options import BATCH_SIZE, SearchedOptions

OPTIMIZER: Final = "optimizer"
"""Name of the option that workloads choose their optimizer by."""


def usual_options(spec: JobSpec) -> OptionValues:
    """What a job gives the options that its search varies, or the next to it that the search has."""
    ranges = spec.search.options
    if not ranges:
        return ()
    given = option_values({name: spec.options[name] for name in ranges if name in spec.options})
    return SearchedOptions(ranges, usual=given).usual


def batch_rule(options: Mapping[str, Any]) -> ScalingRule:
    """How the best peak is expected to follow the batch size: in proportion for SGD, by the square root for all else.

    Args:
        options: The workload's.
    """
    return ScalingRule.LINEAR if options.get(OPTIMIZER) == "sgd" else ScalingRule.SQRT


def batch_size(options: Mapping[str, Any]) -> int | None:
    """Samples of one update, where the options tell."""
    size = options.get(BATCH_SIZE)
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None
