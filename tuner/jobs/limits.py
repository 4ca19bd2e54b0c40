"""Checks the limits of a job while its runs train. Pure."""

from __future__ import annotations

from tuner.jobs.spec import Limits

HOUR_SECONDS = 3600.0


def limit_reached(limits: Limits, *, device_seconds: float, wall_seconds: float) -> str | None:
    """A sentence about the limit that a job has reached; ``None`` below all limits.

    Args:
        limits: The job's limits. The plan checks target and patience.
        device_seconds: Device time that its runs have taken.
        wall_seconds: Time since the job was first planned.
    """
    if limits.device_hours is not None and device_seconds >= limits.device_hours * HOUR_SECONDS:
        return f"its runs have taken {device_seconds / HOUR_SECONDS:.4g} of {limits.device_hours:g} device hours"
    if limits.wall_hours is not None and wall_seconds >= limits.wall_hours * HOUR_SECONDS:
        return f"it has run for {wall_seconds / HOUR_SECONDS:.4g} of {limits.wall_hours:g} hours"
    return None
