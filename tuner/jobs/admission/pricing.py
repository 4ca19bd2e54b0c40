"""The maximum cost of a job, before it is submitted. Pure: the caller passes the measured paces."""

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
    """The maximum number."""
    updates: int
    """Optimizer updates of each run."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The maximum cost of a job."""

    rungs: tuple[RunsPrice, ...]
    """In ascending order of length; the last one is the full horizon."""
    audits: RunsPrice
    """Of pruned trials, at the full horizon."""
    confirmations: RunsPrice
    updates: int
    """Of all runs together; never above ``max_updates`` where that is set."""
    device_seconds: dict[str, float] | None
    """Device time by device model, as measured with earlier runs of the workload in this version; never above the
    job's own limit. ``None`` without measurements."""


def estimate(spec: JobSpec, *, paces: Sequence[Pace]) -> Estimate:
    """The upper bound of a job's cost.

    Args:
        spec: The job, complete.
        paces: The measured paces of its workload, in the version that the job will be trained with.

    Returns:
        The bound. Schedules that diverge early, and limits such as a target, make a job cheaper.
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
