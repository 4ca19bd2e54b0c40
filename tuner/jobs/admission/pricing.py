"""What a job costs at most, before it is submitted. Pure: how fast the devices are is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.jobs.records import Pace
from tuner.jobs.spec import JobSpec
from tuner.search.decision.rungs import price, rung_steps

_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class RunsPrice:
    """The runs of one rung, of the audit, or of the confirmation."""

    runs: int
    """At most so many."""
    updates: int
    """Optimizer updates of each."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job costs at most."""

    rungs: tuple[RunsPrice, ...]
    """From the shortest up; the last one is the full horizon."""
    audits: RunsPrice
    """Of pruned trials, at the full horizon."""
    confirmations: RunsPrice
    updates: int
    """Of all runs together; never above ``max_updates`` where that is set."""
    device_seconds: dict[str, float] | None
    """Device time by the model of the device, as measured with earlier runs of the workload in this version; never
    above the job's own limit. ``None`` when nothing was measured."""


def estimate(spec: JobSpec, *, paces: Sequence[Pace]) -> Estimate:
    """Bound what a job costs.

    Args:
        spec: The job, complete.
        paces: What was measured of its workload, in the version that the job will be trained with.

    Returns:
        The bound. Schedules that diverge early, and limits such as a target loss, make a job cheaper.
    """
    cost = price(spec.search)
    steps = rung_steps(spec.search)
    hours = spec.limits.device_hours
    limit = float("inf") if hours is None else hours * _SECONDS_PER_HOUR
    by_model = {
        pace.device_model: min(limit, cost.updates * pace.seconds_per_update)
        for pace in paces
        if pace.workload == spec.workload and pace.updates > 0
    }
    return Estimate(
        rungs=tuple(RunsPrice(runs=runs, updates=updates) for runs, updates in zip(cost.rung_runs, steps, strict=True)),
        audits=RunsPrice(runs=cost.audit_runs, updates=steps[-1]),
        confirmations=RunsPrice(runs=cost.confirm_runs, updates=steps[-1]),
        updates=cost.updates,
        device_seconds=by_model or None,
    )
