"""What a worker keeps a run's states for: the updates at which other runs will leave it, or may. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tuner.jobs.records import LeasedRun, SiblingRun
from tuner.schedules.values import Array
from tuner.search.stage_tree import branch_points, likely_branch_points


def branch_points_of(lease: LeasedRun, *, sibling_runs: Iterable[SiblingRun]) -> tuple[int, ...]:
    """After how many updates of a leased run its state is of use to its sibling_runs.

    Args:
        lease: The run.
        sibling_runs: The runs that may begin like it.

    Returns:
        Ascending, each in [1, total_steps]: what `tuner.search.stage_tree` gives for the sibling runs, and for
        schedules that the search may still choose.
    """
    likely = likely_branch_points(lease.schedule, total_steps=lease.total_steps)
    first = lease.schedule.lr(0, total_steps=lease.total_steps)
    alike = [one for one in sibling_runs if one.schedule.lr(0, total_steps=one.total_steps) == first]
    if not alike:
        return likely  # as for most runs, and a long run's rates need not be computed for it
    known = branch_points(lease.schedule.lrs(lease.total_steps), others=_lrs(alike))
    return tuple(sorted({*known, *likely}))


def _lrs(sibling_runs: Iterable[SiblingRun]) -> Iterator[Array]:
    for relative in sibling_runs:
        yield relative.schedule.lrs(relative.total_steps)
