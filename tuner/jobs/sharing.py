"""What a worker keeps a run's states for: the updates at which other runs will leave it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tuner.jobs.records import LeasedRun, Relative
from tuner.schedules.values import Array
from tuner.search.stages import branch_points


def branch_points_of(lease: LeasedRun, *, relatives: Iterable[Relative]) -> tuple[int, ...]:
    """After how many updates of a leased run its state is of use to its relatives.

    Args:
        lease: The run.
        relatives: The runs that may begin like it.

    Returns:
        Ascending, each in [1, total_steps], as `tuner.search.stages.branch_points` gives them.
    """
    first = lease.schedule.lr(0, total_steps=lease.total_steps)
    alike = [one for one in relatives if one.schedule.lr(0, total_steps=one.total_steps) == first]
    if not alike:
        return ()  # as for most runs, and a long run's rates need not be computed for it
    return branch_points(lease.schedule.lrs(lease.total_steps), others=_lrs(alike))


def _lrs(relatives: Iterable[Relative]) -> Iterator[Array]:
    for relative in relatives:
        yield relative.schedule.lrs(relative.total_steps)
