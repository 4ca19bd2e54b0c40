"""The plan's view of a stored study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from tuner.jobs.options import batch_rule, usual_options
from tuner.jobs.records import JobRecord, RunKind, RunRecord, StudyRecord, TrialRecord
from tuner.jobs.states import RunState, TrialState
from tuner.schedules.scaling import ScalingRule
from tuner.search.configuration import option_values
from tuner.search.decision.decisions import (
    AuditView,
    ConfirmView,
    Control,
    RungResult,
    Stop,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.stopping import search_over

TRIAL_STATUS: Final = {
    TrialState.ACTIVE: TrialStatus.ACTIVE,
    TrialState.PRUNED: TrialStatus.PRUNED,
    TrialState.COMPLETED: TrialStatus.COMPLETED,
    TrialState.FAILED: TrialStatus.FAILED,
    TrialState.CANCELLED: TrialStatus.FAILED,
}
HAS_RESULT: Final = frozenset({RunState.SUCCEEDED, RunState.DIVERGED})
_LIVE: Final = frozenset({RunState.QUEUED, RunState.LEASED})


@dataclass(frozen=True, kw_only=True)
class RunsByTrial:
    """The runs of a study by trial and kind."""

    rungs: Mapping[int, Sequence[RunRecord]]
    """By trial number, in ascending order of rungs."""
    confirmations: Mapping[int, Sequence[RunRecord]]
    """By trial number, in ascending order of seeds."""
    audits: Sequence[RunRecord]

    @classmethod
    def from_runs(cls, runs: Sequence[RunRecord]) -> Self:
        """Group the runs of a study."""
        rungs: defaultdict[int, list[RunRecord]] = defaultdict(list)
        confirmations: defaultdict[int, list[RunRecord]] = defaultdict(list)
        for run in sorted(runs, key=lambda run: (run.rung, run.seed)):
            if run.kind is RunKind.RUNG:
                rungs[run.trial_number].append(run)
            elif run.kind is RunKind.CONFIRM:
                confirmations[run.trial_number].append(run)
        audits = [run for run in runs if run.kind is RunKind.AUDIT]
        return cls(rungs=rungs, confirmations=confirmations, audits=audits)

    def results(self, trial: int) -> tuple[RungResult, ...]:
        """The results of a trial at its rungs."""
        return tuple(RungResult(loss=run.loss) for run in self.rungs[trial] if run.state in HAS_RESULT)


def study_state(record: StudyRecord) -> StudyState:
    """The plan's view of a stored study."""
    runs = RunsByTrial.from_runs(record.runs)
    state = StudyState(
        settings=record.job.spec.search,
        metric=record.job.metric,
        trials=tuple(_trial_view(trial, runs=runs) for trial in record.trials),
        confirmations=tuple(
            ConfirmView(trial=number, seed=run.seed, finished=run.state not in _LIVE, loss=run.loss)
            for number, confirmed in sorted(runs.confirmations.items())
            for run in confirmed
        ),
        audits=tuple(
            AuditView(trial=run.trial_number, finished=run.state not in _LIVE, loss=run.loss) for run in runs.audits
        ),
        updates_committed=sum(
            run.total_steps - run.shared_updates for run in record.runs if run.state is not RunState.CANCELLED
        ),
        usual_options=usual_options(record.job.spec),
        batch_exponent=0.5 if batch_rule(record.job.spec.options) is ScalingRule.SQRT else 1.0,
    )
    return replace(state, stop=_stop(record.job, state=state))


def _stop(job: JobRecord, *, state: StudyState) -> Stop | None:
    """The stop that one of the job's limits demands; ``None`` below all limits."""
    if job.limit_reached is not None:
        return Stop.now(job.limit_reached)
    limits = job.spec.limits
    target_loss = None if limits.target is None else job.metric.loss(limits.target)
    return search_over(state, target_loss=target_loss, patience=limits.patience)


def _trial_view(trial: TrialRecord, *, runs: RunsByTrial) -> TrialView:
    return TrialView(
        number=trial.number,
        cohort=trial.cohort,
        control=None if trial.control is None else Control(trial.control),
        status=TRIAL_STATUS[trial.state],
        schedule=trial.schedule,
        options=option_values(trial.options),
        results=runs.results(trial.number),
        running=any(run.state in _LIVE for run in runs.rungs[trial.number]),
    )
