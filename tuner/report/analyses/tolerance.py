"""How large a difference of the metric must be to count."""

from __future__ import annotations

from typing import Final

from tuner.report.evidence import Evidence
from tuner.report.insights import Tolerance

SHARE: Final = 0.01
"""Share of the metric's value below which no difference matters."""


def tolerance(value: float, *, evidence: Evidence) -> tuple[float, Tolerance]:
    """The change of a value for the worse that counts: one that is both visible and relevant.

    Args:
        value: The value that the change is measured from; its sign does not matter.
        evidence: Of the study.

    Returns:
        The larger of the noise over seeds, where it was measured, and one percent of the value, and which of them it
        is.
    """
    share = SHARE * abs(value)
    noise = evidence.estimates.noise_std if evidence.noise_is_measured else 0.0
    return (share, Tolerance.SHARE) if noise <= share else (noise, Tolerance.NOISE)
