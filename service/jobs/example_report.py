"""The report that the API's document shows: a schedule that beats its best constant rate on three seeds."""

from __future__ import annotations

from typing import Final

from service.examples import DETAIL, JOB, SCHEDULE
from tuner.report.report import Candidate, Comparison, Cost, Gain, Plateau, Report, SeedLoss, TrialRow, Verdict
from tuner.schedules import Constant, Schedule
from tuner.search.decisions import Control, TrialStatus
from tuner.search.ladder import rung_steps

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
    plateau=Plateau(
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
)
