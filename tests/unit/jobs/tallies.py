"""The slow, obvious sums over a job's trials and runs, to compare with those of the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tuner.jobs.progress import RunTally, Tally
from tuner.jobs.records import RunRecord, TrialRecord
from tuner.jobs.states import RunState


def tally_of(*, trials: Sequence[TrialRecord], runs: Sequence[RunRecord], devices: int = 0) -> Tally:
    """Sum up a job's trials and runs.

    Args:
        trials: All of them.
        runs: All of them.
        devices: How many devices train its runs just now.
    """
    groups: dict[RunState, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(run.state, []).append(run)
    return Tally(
        trials=Counter(trial.state for trial in trials),
        runs=tuple(
            RunTally(
                state=state,
                runs=len(group),
                total_steps=sum(run.total_steps for run in group),
                steps=sum(run.step for run in group),
                updates=sum(run.updates for run in group),
                device_seconds=sum(run.device_seconds for run in group),
            )
            for state, group in groups.items()
        ),
        devices=devices,
    )
