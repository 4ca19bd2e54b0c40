"""The report that the API's document shows: a schedule that beats its best constant rate on three seeds."""

from __future__ import annotations

from typing import Final

from tuner.report.insights import (
    Advice,
    AdviceCode,
    AuditedTrial,
    ParameterImportance,
    ParameterImportances,
    PeakFit,
    PeakLimit,
    PeakPoint,
    PruningAudit,
    Sensitivity,
    Tolerance,
)
from tuner.report.report import Candidate, Comparison, Cost, EquivalentSet, Gain, Report, SeedLoss, TrialRow, Verdict
from tuner.schedules import Constant, Schedule
from tuner.search.decision.decisions import Control, TrialStatus
from tuner.search.decision.rungs import rung_steps
from tuner_service.examples import DETAIL, JOB, SCHEDULE

_SEARCH = JOB.spec.search
_CONSTANT = Schedule(peak_lr=0.05, family=Constant())
_FINDING = "The schedule beats the best constant rate: 0.02 less loss, 95 % interval 0.015 to 0.025."


def _candidate(
    trial: int, *, schedule: Schedule, control: Control | None, search_loss: float, losses: tuple[float, float, float]
) -> Candidate:
    return Candidate(
        trial=trial,
        label=schedule.label,
        control=control,
        schedule=schedule,
        search_loss=search_loss,
        losses=tuple(SeedLoss(seed=seed, loss=loss) for seed, loss in enumerate(losses, start=1)),
        median=sorted(losses)[1],
        mean=round(sum(losses) / len(losses), 6),
        low=min(losses),
        high=max(losses),
        diverged=0,
    )


_BEST = _candidate(7, schedule=SCHEDULE, control=None, search_loss=0.238, losses=(0.241, 0.24, 0.242))
_RIVAL = _candidate(1, schedule=_CONSTANT, control=Control.CONSTANT, search_loss=0.259, losses=(0.261, 0.262, 0.26))
_SAME = Comparison(trial=7, label=_BEST.label, verdict=Verdict.SAME, seeds=3, wins=0, diverged=0, gain=None)

REPORT: Final = Report(
    job_id=JOB.id,
    job_name=JOB.spec.name,
    workload=JOB.spec.workload,
    options=JOB.spec.options,
    total_steps=_SEARCH.total_steps,
    rung_steps=rung_steps(_SEARCH),
    why_ended="all trials are done",
    schedule_helps=True,
    finding=_FINDING,
    best=_BEST,
    recommended=_BEST,
    candidates=(_BEST, _RIVAL),
    best_constant=Comparison(
        trial=1,
        label=_RIVAL.label,
        verdict=Verdict.BETTER,
        seeds=3,
        wins=3,
        diverged=0,
        gain=Gain(mean=0.02, low=0.015, high=0.025, percent=7.7),
    ),
    default=None,
    equivalents=EquivalentSet(
        members=(_SAME,), recommended=7, rule="those that cannot be told from the best", reason="it is the only one"
    ),
    cost=Cost(
        updates_spent=DETAIL.price.updates,
        search_updates=DETAIL.price.updates - DETAIL.price.confirm_runs * _SEARCH.total_steps,
        confirm_updates=DETAIL.price.confirm_runs * _SEARCH.total_steps,
        updates_all_full=DETAIL.price.updates_all_full,
        ratio=0.46,
    ),
    trials=(
        TrialRow(
            number=7,
            label=SCHEDULE.label,
            control=None,
            rung=2,
            losses=(0.31, 0.27, 0.238),
            status=TrialStatus.COMPLETED,
            reason="trained to the horizon",
        ),
    ),
    summary=(_FINDING,),
    sensitivities=(
        Sensitivity(
            trial=7,
            peak_lr=SCHEDULE.peak_lr,
            reason=None,
            rung=1,
            points=tuple(
                PeakPoint(trial=trial, peak_lr=peak_lr, loss=loss)
                for trial, peak_lr, loss in ((3, 0.05, 0.278), (7, 0.1, 0.27), (9, 0.15, 0.272), (11, 0.3, 0.291))
            ),
            diverged_from=0.8,
            fit=PeakFit(constant=0.27, slope=-0.003, curvature=0.017, r_squared=0.98),
            tolerance=0.0027,
            tolerance_kind=Tolerance.SHARE,
            below=PeakLimit(factor=1.38, reached=True),
            above=PeakLimit(factor=1.65, reached=True),
        ),
    ),
    importances=ParameterImportances(
        rung=0,
        updates=rung_steps(_SEARCH)[0],
        trials=20,
        diverged=2,
        common=(
            ParameterImportance(name="peak_lr", share=0.9, above_chance=True),
            ParameterImportance(name="family", share=0.1, above_chance=False),
        ),
        families={},
        sentence="Over all trials, what sets the best third apart is the peak rate.",
    ),
    audit=PruningAudit(
        trials=(AuditedTrial(trial=4, label=_CONSTANT.label, loss=0.262, regret=0.0),),
        best_search_loss=0.238,
        false_prunes=0,
        mean_regret=0.0,
        largest_regret=0.0,
        sentence="1 trial that had been pruned was trained to the end all the same; it did not beat the others.",
    ),
    advice=(
        Advice(
            code=AdviceCode.DIVERGED_ABOVE,
            sentence="Keep the peak below 8.0e-01: 2 trials diverged, the lowest at 8.0e-01; the highest peak that did "
            "not was 3.0e-01.",
            evidence={"lowest_diverged": 0.8, "diverged_trials": 2, "highest_fine": 0.3},
        ),
    ),
)
