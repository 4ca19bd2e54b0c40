"""The updates at which other runs leave a run, or may leave it: there a worker stores its state. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tuner.jobs.records import LeasedRun, SiblingRun
from tuner.schedules.values import Array
from tuner.search.stage_tree import branch_points, likely_branch_points


def branch_points_of(lease: LeasedRun, *, sibling_runs: Iterable[SiblingRun]) -> tuple[int, ...]:
    """The updates of a leased run after which sibling runs can continue from its state.

    Args:
        lease: The run.
        sibling_runs: The runs that may share a prefix with it.

    Returns:
        Ascending, each in [1, total_steps]: from `tuner.search.stage_tree`, for the sibling runs and for schedules
        that the search may still propose. None for a run whose rates follow its loss, and none for such siblings.
    """
    if lease.schedule.follows_loss:
        return ()
    likely = likely_branch_points(lease.schedule, total_steps=lease.total_steps)
    first = lease.schedule.lr(0, total_steps=lease.total_steps)
    fixed = (one for one in sibling_runs if not one.schedule.follows_loss)
    alike = [one for one in fixed if one.schedule.lr(0, total_steps=one.total_steps) == first]
    if not alike:
        return likely  # the usual case, which needs no learning rates of long runs
    known = branch_points(lease.schedule.lrs(lease.total_steps), others=_lrs(alike))
    return tuple(sorted({*known, *likely}))


def _lrs(sibling_runs: Iterable[SiblingRun]) -> Iterator[Array]:
    for sibling in sibling_runs:
        yield sibling.schedule.lrs(sibling.total_steps)
