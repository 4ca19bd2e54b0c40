"""The slow, obvious sums over a job's trials and runs, to compare with those of the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tuner.jobs.progress import BestSoFar, RunTally, Tally
from tuner.jobs.records import RunKind, RunRecord, TrialRecord
from tuner.jobs.states import RunState


def tally_of(*, trials: Sequence[TrialRecord], runs: Sequence[RunRecord], devices: int = 0) -> Tally:
    """Sum up a job's trials and runs.

    Args:
        trials: All of them.
        runs: All of them.
        devices: How many devices train its runs just now.
    """
    groups: dict[tuple[RunKind, int, RunState], list[RunRecord]] = {}
    for run in runs:
        groups.setdefault((run.kind, run.rung, run.state), []).append(run)
    return Tally(
        trials=Counter(trial.state for trial in trials),
        runs=tuple(
            RunTally(
                kind=kind,
                rung=rung,
                state=state,
                runs=len(group),
                total_steps=sum(run.total_steps for run in group),
                steps=sum(run.step for run in group),
                updates=sum(run.updates for run in group),
                device_seconds=sum(run.device_seconds for run in group),
            )
            for (kind, rung, state), group in groups.items()
        ),
        best=_best(runs, trials=trials),
        devices=devices,
    )


def _best(runs: Sequence[RunRecord], *, trials: Sequence[TrialRecord]) -> BestSoFar | None:
    scored = [
        (-run.rung, run.loss, run.trial_number, run.total_steps)
        for run in runs
        if run.kind is RunKind.RUNG and run.loss is not None
    ]
    if not scored:
        return None
    rung, loss, number, updates = min(scored)
    label = next(trial.configuration.label for trial in trials if trial.number == number)
    return BestSoFar(trial=number, label=label, value=loss, rung=-rung, updates=updates)
