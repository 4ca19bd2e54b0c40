"""The maximum cost of a job, before it is submitted. Pure: the caller passes the measured paces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuner.devices import DeviceKind
from tuner.jobs.limits import HOUR_SECONDS
from tuner.jobs.records import Pace
from tuner.jobs.spec import JobSpec
from tuner.search.decision.budget import Price, price
from tuner.search.settings import SearchSettings


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The maximum cost of a job, and what it buys."""

    price: Price
    compared: tuple[str, ...]
    """What its runs are spent on, one phrase each: whichever is worth most comes next."""
    device_seconds: dict[str, float] | None
    """Device time by device model, as measured with earlier runs of the workload in this version; never above the
    job's own limit. ``None`` without measurements."""


def estimate(spec: JobSpec, *, paces: Sequence[Pace]) -> Estimate:
    """The upper bound of a job's cost.

    Args:
        spec: The job, complete.
        paces: The measured paces of its workload, in the version that the job will be trained with.

    Returns:
        The bound. Runs that are stopped early or diverge, and limits such as a target, make a job cheaper.
    """
    cost = price(spec.search)
    hours = spec.limits.device_hours
    limit = float("inf") if hours is None else hours * HOUR_SECONDS
    by_model = {
        pace.device_model: min(limit, cost.updates * pace.seconds_per_update)
        for pace in paces
        if pace.workload == spec.workload and pace.updates > 0 and _may_train_on(pace.device_model, spec=spec)
    }
    return Estimate(
        price=cost,
        compared=tuple(_compared(spec.search, most_trials=cost.most_trials)),
        device_seconds=by_model or None,
    )


def _may_train_on(model: str, *, spec: JobSpec) -> bool:
    """Whether the job's kind of device admits a model; only that of a CPU says its kind."""
    is_cpu = model == DeviceKind.CPU.value
    return spec.resources.device in ("any", DeviceKind.CPU.value if is_cpu else DeviceKind.CUDA.value)


def _compared(search: SearchSettings, *, most_trials: int) -> Iterator[str]:
    """What a search may spend its runs on."""
    if search.range_test is not None:
        test = search.range_test
        yield f"an LR range test, before all else: {test.seeds} runs of {test.steps:,} updates"
        if test.alone:
            return
    if most_trials < 2:
        yield "one schedule, trained once: the best guess without a comparison"
        return
    if search.incumbent is None:
        yield "the usual default: linear warm-up, then cosine to zero"
    else:
        yield f"the incumbent: {search.incumbent.label}"
    yield f"other schedules, {most_trials - 1:,} at most"
    if search.seeds > 1:
        yield f"further seeds of the schedules that matter, {search.seeds} each at most"
