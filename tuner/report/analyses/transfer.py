"""Transfer to a longer run: which parts of a recommendation hold for another horizon, and which need a check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tuner.report.evidence import Evidence
from tuner.report.insights import Transfer
from tuner.report.study_result import StudyResult
from tuner.schedules import Constant, Schedule

_THEORY: Final = -0.5
"""Power of the horizon that the best peak follows in convex theory (`tuner.search.sampler.convex_bound`).
Trainings follow it less, as far as was seen (docs/benchmarks.md)."""


def transfer(evidence: Evidence) -> Transfer:
    """What transfers from the recommended schedule when training takes `StudyResult.longer` times as many updates."""
    result = evidence.result
    schedule = evidence.view(evidence.estimates.recommended).configuration.schedule
    found = Transfer(
        ratio=result.longer,
        total_steps=round(result.longer * result.total_steps),
        peak_low=result.longer**_THEORY,
        peak_high=1.0,
        sentences=(),
    )
    sentences = tuple(_sentences(found, schedule=schedule, result=result))
    return found.model_copy(update={"sentences": sentences})


def _sentences(found: Transfer, *, schedule: Schedule, result: StudyResult) -> Iterator[str]:
    yield f"For {found.total_steps:,} updates, {found.ratio:g} times as many:"
    if isinstance(schedule.family, Constant):
        yield "a constant rate needs no horizon: training can simply go on."
    elif schedule.follows_loss:
        yield "the rates follow the loss there too; its patience counts evaluations, so make as many as here."
    else:
        yield "the shape carries over, its lengths being fractions of the run."
    before, after = (schedule.warmup.length(steps) for steps in (result.total_steps, found.total_steps))
    if after > before:
        yield (
            f"Its warm-up would take {after:,} updates; the {before:,} that were enough here may be enough there, so "
            "try both."
        )
    low, high = (schedule.peak_lr * factor for factor in (found.peak_low, found.peak_high))
    yield (
        f"The peak needs a check: longer runs tend to need a lower one, between {low:.1e} (theory: it falls with the "
        f"square root of the length) and {high:.1e} (as it is)."
    )
    command = f"`tuner submit --from {result.job_id} --total-steps {found.total_steps}`"
    yield f"{command} checks it, starting with what was found here."
