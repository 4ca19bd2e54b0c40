from __future__ import annotations

import pytest

from tuner.jobs.limits import limit_reached
from tuner.jobs.spec import Limits


@pytest.mark.parametrize(
    ("limits", "device_seconds", "wall_seconds", "reached"),
    [
        (Limits(), 1e9, 1e9, None),
        (Limits(device_hours=2), 7199.0, 1e9, None),
        (Limits(device_hours=2), 7200.0, 0.0, "its runs have taken 2 of 2 device hours"),
        (Limits(wall_hours=0.5), 1e9, 1799.0, None),
        (Limits(wall_hours=0.5), 0.0, 1800.0, "it has run for 0.5 of 0.5 hours"),
        (Limits(target=0.1, patience=3), 1e9, 1e9, None),
    ],
)
def test_a_job_ends_where_its_hours_do(
    limits: Limits, device_seconds: float, wall_seconds: float, reached: str | None
) -> None:
    assert limit_reached(limits, device_seconds=device_seconds, wall_seconds=wall_seconds) == reached
