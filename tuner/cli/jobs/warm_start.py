"""``tuner submit --from JOB``: a follow-up job that starts from the results of a completed one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuner.cli.jobs.options import Against
from tuner.jobs.options import batch_rule, batch_size
from tuner.schedules.scaling import ScalingRule, scaled_to_batch

if TYPE_CHECKING:
    from tuner.api.jobs import JobView
    from tuner.report.report import Report
    from tuner.schedules import Schedule

_MAX_START = 4
"""Schedules to start from: more would use up the new search."""


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """A follow-up job."""

    request: dict[str, Any]
    """A part of the job, as `POST /v1/jobs` takes it; the command line's options override it."""
    notes: tuple[str, ...]
    """Which parts of the former result carry over."""


def follow_up(
    job: JobView,
    *,
    report: Report,
    options: Mapping[str, Any],
    total_steps: int | None,
    trials: int | None = None,
    against: Against | None = None,
) -> FollowUp:
    """The follow-up of a completed job.

    It has the job's workload and space and the options of its recommendation. The recommended schedule is its
    incumbent, and it starts with the job's other best schedules; where the recommendation is compared ``against``
    something plainer, that is the incumbent, and the search starts with the recommendation. Where the option
    ``batch_size`` changes, their peaks are scaled: by the square root of the ratio for Adam, by the ratio for SGD.

    Args:
        job: The completed one.
        report: Its report.
        options: The options that change.
        total_steps: The new horizon; ``None`` for the job's.
        trials: Most schedules to try, and so to start with; no limit when absent.
        against: What takes the incumbent's place, if anything.
    """
    spec = job.spec
    best = dict.fromkeys(one.schedule for one in (report.recommended, *report.candidates) if not one.diverged)
    start, notes = list(best)[:_MAX_START], []
    found_with = {**spec.options, **report.recommended.options}
    before, after = batch_size(found_with), batch_size({**found_with, **options})
    if before is not None and after is not None and before != after:
        start, note = _for_batch(start, before=before, after=after, rule=batch_rule(found_with))
        notes.append(note)
    if total_steps is not None and total_steps != spec.search.total_steps:
        ratio = total_steps / spec.search.total_steps
        notes.append(
            f"The horizon is {ratio:.3g} times that of the former job: the shape of its schedule usually carries "
            "over, its peak less so (longer runs tend to want a lower one), and the new search checks both."
        )
    if against is not None:
        start = [_plain(start[0], against=against), *start]
    incumbent, *others = [schedule.model_dump(mode="json", exclude_none=True) for schedule in start]
    request: dict[str, Any] = {
        "workload": spec.workload,
        "options": found_with,
        "search": {
            "total_steps": spec.search.total_steps,
            "incumbent": incumbent,
            "start": others[:trials],
            "options": {name: one.model_dump(mode="json") for name, one in spec.search.options.items()},
            "space": None if spec.search.space is None else spec.search.space.model_dump(mode="json"),
        },
    }
    return FollowUp(request=request, notes=tuple(notes))


def _plain(schedule: Schedule, *, against: Against) -> Schedule:
    from tuner.schedules import Constant, Schedule, Warmup

    if against is Against.CONSTANT:
        return Schedule(peak_lr=schedule.peak_lr, family=Constant())
    return schedule.model_copy(update={"warmup": Warmup(shape="none")})


def _for_batch(start: list[Schedule], *, before: int, after: int, rule: ScalingRule) -> tuple[list[Schedule], str]:
    scaled = [scaled_to_batch(one, rule=rule, from_batch=before, to_batch=after) for one in start]
    factor = scaled[0].factor if scaled else 1.0
    note = (
        f"The batch size goes from {before} to {after}: the peaks to start from are {factor:.3g} times the former ones "
        f"(the {rule.value} rule), which is a guess that the new search checks."
    )
    return [one.schedule for one in scaled], note
