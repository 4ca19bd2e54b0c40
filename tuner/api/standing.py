"""Wire type of what is known of a job so far: what ``/v1/jobs/{job_id}/standing`` returns."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.jobs.states import JobState
from tuner.report.report import Report


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The report on the runs of a job so far, whatever its state."""

    job_id: str
    state: JobState
    final: bool
    """Whether the report is that of a completed job."""
    sentence: str
    """How far the job has come, and what that says."""
    report: Report | None
    """It recommends the trial that the planning recommends from the same runs; ``None`` while no run has reached the
    horizon."""
