"""Small studies and what is said of them, from losses by trial and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tuner.jobs.records import CurvePoint
from tuner.report.evidence import Evidence
from tuner.report.study_result import RunHistory, StudyResult
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration, option_values
from tuner.search.decision.decisions import Role, RunStatus, RunView, StudyState, TrialStatus, TrialView
from tuner.search.decision.estimates import Difference
from tuner.search.pruning.forecast import Forecast
from tuner.search.pruning.stopping import ForecastCheck, Leader
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, Value, default_space
from tuner.search.worth import LossOverSteps, Normal

STEPS = 900
SEEDS = (101, 102, 103, 104, 105)
SPACE = default_space(OptimizerKind.SGD, peak_lr=(0.001, 1.0))
WARMUP = Warmup(shape="linear", fraction=0.05)
CONSTANT = Schedule(peak_lr=0.02, family=Constant())
DEFAULT = Schedule(peak_lr=0.05, family=Cosine(), warmup=WARMUP)
LINEAR = Schedule(peak_lr=0.05, family=Linear(), warmup=WARMUP)
WSD = Schedule(peak_lr=0.1, family=Wsd(cooldown=0.4), warmup=WARMUP)
BARE = Schedule(peak_lr=0.05, family=Linear())
"""Without warm-up."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A run that was stopped early, at its forecast."""

    step: int
    mean: float
    std: float = 0.001


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trial and its runs, on the first of the seeds."""

    schedule: Schedule
    results: tuple[float | Stop | None, ...] = ()
    """``None``: it diverged. Without any the trial failed."""
    role: Role | None = None
    options: Mapping[str, Value] = field(default_factory=dict)


def tried(
    schedule: Schedule,
    *results: float | Stop | None,
    role: Role | None = None,
    options: Mapping[str, Value] | None = None,
) -> Tried:
    return Tried(schedule=schedule, results=results, role=role, options=options or {})


def at(schedule: Schedule, peak_lr: float) -> Schedule:
    """The schedule at another peak."""
    return schedule.model_copy(update={"peak_lr": peak_lr})


def evaluations(*losses: float, steps: int = STEPS) -> tuple[CurvePoint, ...]:
    """Evaluations spread evenly up to an update."""
    places = [round(place * steps / (len(losses) - 1)) for place in range(len(losses))]
    return tuple(
        CurvePoint(step=place, lr=0.1, train_loss=loss if place else None, val_loss=loss)
        for place, loss in zip(places, losses, strict=True)
    )


def study(*trials: Tried, margin: float | None = None, **search: Any) -> StudyResult:
    """A study that has ended.

    Args:
        trials: By number.
        margin: As the state has it.
        search: Further search settings.
    """
    settings = SearchSettings.model_validate({"total_steps": STEPS, "budget": 30.0, "space": SPACE, **search})
    runs = tuple(run for number, trial in enumerate(trials) for run in _runs(number, trial))
    return StudyResult(
        job_id="00000000-0000-4000-8000-000000000001",
        job_name="digits",
        workload="digits-mlp",
        options={"optimizer": "sgd"},
        state=StudyState(
            settings=settings,
            trials=tuple(_view(number, trial) for number, trial in enumerate(trials)),
            runs=runs,
            margin=margin,
        ),
        reasons=dict.fromkeys(range(len(trials)), "for a test"),
        end_reason="nothing more is worth its cost",
        updates_spent=sum(run.steps for run in runs),
        updates_saved=0,
        histories=tuple(history for number, trial in enumerate(trials) for history in _histories(number, trial)),
    )


def typical() -> StudyResult:
    """A wsd and a linear decay in front, the default a little worse, a constant far worse; some ended early."""
    return study(
        tried(DEFAULT, 0.305, 0.296, 0.314, 0.302, 0.309, role=Role.INCUMBENT),
        tried(LINEAR, 0.284, 0.276, 0.296, 0.281, 0.291),
        tried(WSD, 0.281, 0.272, 0.293, 0.279, 0.287),
        tried(CONSTANT, 0.352, 0.341, 0.360),
        tried(at(CONSTANT, 0.5), None),
        tried(at(LINEAR, 0.01), Stop(step=300, mean=0.40)),
        tried(at(WSD, 0.25), 0.297),
        tried(at(WSD, 0.05), 0.295),
        tried(BARE, 0.331, 0.322),
        tried(at(DEFAULT, 0.9), None),
        tried(at(LINEAR, 0.02)),
        margin=0.004,
    )


def with_curves(result: StudyResult, curves: Mapping[tuple[int, int], tuple[CurvePoint, ...]]) -> StudyResult:
    """The study with the evaluations of some of its runs, by trial and seed."""
    histories = {(one.trial, one.seed): one for one in result.histories}
    for key, points in curves.items():
        former = histories.get(key, RunHistory(trial=key[0], seed=key[1], steps=STEPS))
        histories[key] = replace(former, points=points)
    return replace(result, histories=tuple(histories.values()))


def check(stop: Stop, *, leader: float = 0.28, margin: float = 0.004) -> ForecastCheck:
    """The forecast that stopped a run."""
    forecast = Forecast(
        step=stop.step,
        mean=stop.mean,
        std=stop.std,
        low=stop.mean - 2 * stop.std,
        high=stop.mean + 2 * stop.std,
    )
    return ForecastCheck(
        forecast=forecast, leader=Leader(mean=leader, std=0.001), margin=margin, chance=0.0001, stop=True
    )


class FixedEstimates:
    """Estimates of a study with the numbers of a test.

    Args:
        gains: By trial, the expected loss of trial 0 less its own, with the interval.
        margin: The smallest gain that is worth a change.
        recommended: The trial.
        noise_std: Of a run over seeds.
    """

    def __init__(
        self,
        gains: Mapping[int, tuple[float, float, float]],
        *,
        margin: float = 0.01,
        recommended: int = 0,
        noise_std: float = 0.02,
    ) -> None:
        self.gains = {0: (0.0, 0.0, 0.0), **gains}
        self.margin, self.recommended, self.noise_std = margin, recommended, noise_std
        self.trials = tuple(sorted(self.gains, key=lambda trial: -self.gains[trial][0]))
        self.incumbent = 0

    def expected(self, trial: int) -> Normal:
        return Normal(mean=0.3 - self.gains[trial][0], std=0.005)

    def difference(self, trial: int, *, to: int) -> Difference:
        if to == 0:
            mean, high, low = (-number for number in self.gains[trial])
        else:
            other = self.gains[trial][0]
            mean, low, high = (number - other for number in self.gains[to])
        return Difference(mean=mean, std=(high - low) / 3.92, low=low, high=high)


def evidence(result: StudyResult, estimates: FixedEstimates) -> Evidence:
    """A study with estimates of a test's choice; what steps are worth is not known."""
    return Evidence(
        result=result,
        estimates=estimates,  # type: ignore[arg-type]
        loss_over_steps=LossOverSteps((), total_steps=STEPS),
    )


def _view(number: int, trial: Tried) -> TrialView:
    first = trial.results[0] if trial.results else "failed"
    status = {str: TrialStatus.FAILED, float: TrialStatus.COMPLETED}.get(type(first), TrialStatus.PRUNED)
    configuration = Configuration(schedule=trial.schedule, options=option_values(trial.options))
    return TrialView(number=number, role=trial.role, status=status, configuration=configuration)


def _runs(number: int, trial: Tried) -> list[RunView]:
    if not trial.results:
        return [RunView(trial=number, seed=SEEDS[0], status=RunStatus.FAILED, steps=0)]
    return [_run(number, seed, result) for seed, result in zip(SEEDS, trial.results, strict=False)]


def _run(number: int, seed: int, result: float | Stop | None) -> RunView:
    match result:
        case None:
            return RunView(trial=number, seed=seed, status=RunStatus.DIVERGED, steps=100)
        case Stop():
            stopped = RunStatus.STOPPED
            return RunView(trial=number, seed=seed, status=stopped, steps=result.step, loss=result.mean, std=result.std)
        case _:
            return RunView(trial=number, seed=seed, status=RunStatus.FINISHED, steps=STEPS, loss=result)


def _histories(number: int, trial: Tried) -> Sequence[RunHistory]:
    return [
        RunHistory(
            trial=number,
            seed=seed,
            steps=result.step,
            check=check(result),
            points=evaluations(1.0, 0.6, 0.5, steps=result.step),
        )
        for seed, result in zip(SEEDS, trial.results, strict=False)
        if isinstance(result, Stop)
    ]
