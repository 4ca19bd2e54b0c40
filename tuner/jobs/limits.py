"""Whether a job has used up what its limits allow while its runs go on. Pure."""

from __future__ import annotations

from tuner.jobs.spec import Limits

HOUR_SECONDS = 3600.0


def limit_reached(limits: Limits, *, device_seconds: float, wall_seconds: float) -> str | None:
    """Which limit a job has reached, in words; ``None`` while it may go on.

    Args:
        limits: The job's. Its target loss and its patience are for the plan to judge.
        device_seconds: Device time that its runs have taken.
        wall_seconds: Time since it was first planned.
    """
    if limits.device_hours is not None and device_seconds >= limits.device_hours * HOUR_SECONDS:
        return f"its runs have taken {device_seconds / HOUR_SECONDS:.4g} of {limits.device_hours:g} device hours"
    if limits.wall_hours is not None and wall_seconds >= limits.wall_hours * HOUR_SECONDS:
        return f"it has been at work for {wall_seconds / HOUR_SECONDS:.4g} of {limits.wall_hours:g} hours"
    return None
