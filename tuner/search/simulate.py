"""Simulates a study on a virtual clock: plan, sampler and pruning as in a job, with a function instead of training.

Pure: the function that stands for the training is the only source of results.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from tuner.metric import DEFAULT_METRIC, Metric
from tuner.search.configuration import Configuration, OptionValues
from tuner.search.decision.decisions import (
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    Replicate,
    Role,
    RunStatus,
    RunView,
    Stop,
    StudyState,
    TrialStatus,
)
from tuner.search.decision.estimates import Estimates
from tuner.search.decision.margin import loss_margin
from tuner.search.decision.plan import after, leading_ends, plan
from tuner.search.decision.seeds import is_first
from tuner.search.decision.stopping import search_over
from tuner.search.optuna.pruners import RawPruning
from tuner.search.optuna.samplers import proposer_of
from tuner.search.oracle import Oracle, Outcome, RunFailed, outcome
from tuner.search.pruning.audit import is_audited
from tuner.search.pruning.forecast import Curve, LossForecaster
from tuner.search.pruning.stopping import ForecastCheck, Leader, check_forecast
from tuner.search.settings import PrunerName, SearchSettings


class Planner(Protocol):
    """Decides what comes next, as `tuner.search.decision.plan.plan` does."""

    def __call__(self, state: StudyState, *, capacity: int) -> tuple[Decision, ...]:
        """The decisions, in the order in which to apply them."""


@dataclass(frozen=True, kw_only=True)
class SimulatedRun:
    """A run that has ended. Times are in updates: a device does one per unit of time."""

    trial: int
    seed: int
    status: RunStatus
    steps: int
    """Updates that it reached."""
    started: int
    device: int
    curve: Curve
    """Its evaluations up to where it ended."""
    outcome: Outcome | None
    """At its whole length, also of a stopped run; ``None`` of one that failed."""
    checks: tuple[ForecastCheck, ...]
    """In order; `ForecastCheck.stop` in all but the last means that the run was audited."""

    @property
    def ended(self) -> int:
        """When it ended."""
        return self.started + self.steps

    @property
    def audited(self) -> bool:
        """Whether it was trained on although a check would have stopped it."""
        return self.status is not RunStatus.STOPPED and any(check.stop for check in self.checks)


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The result of a simulated study."""

    state: StudyState
    """The final state of the study."""
    decisions: tuple[Decision, ...]
    """In order; the last is `Finish` or `GiveUp`."""
    runs: tuple[SimulatedRun, ...]
    """In the order of their request, as those of the state."""
    duration: int
    """Virtual time from start to end."""
    idle: int
    """Idle virtual time, summed over the devices."""

    @property
    def updates(self) -> int:
        """Updates of all runs."""
        return sum(run.steps for run in self.runs)


def simulate(
    settings: SearchSettings,
    *,
    oracle: Oracle,
    devices: int = 1,
    pool: Sequence[Configuration] | None = None,
    metric: Metric = DEFAULT_METRIC,
    usual_options: OptionValues = (),
    target_loss: float | None = None,
    patience: int | None = None,
    planner: Planner | None = None,
) -> Simulation:
    """Simulate one study.

    Args:
        settings: The search, with its space. ``settings.seeds`` is at most the number of seeds that the oracle has.
        oracle: Called once for each run that is requested.
        devices: Runs at a time, at least 1.
        pool: The only configurations that the oracle can train; the whole space when absent.
        metric: Of the oracle's numbers.
        usual_options: Values of the searched options in the job.
        target_loss: See `tuner.search.decision.stopping.search_over`.
        patience: See `tuner.search.decision.stopping.search_over`.
        planner: In place of the plan: for comparisons.

    Raises:
        InvalidValue: The oracle returned something else than a curve and a final value.
        RuntimeError: The plan waits although nothing runs: a defect of the plan.
    """
    state = StudyState(settings=settings, metric=metric, usual_options=usual_options)
    clock = _Clock(
        state,
        oracle=oracle,
        devices=devices,
        planner=planner or partial(plan, pool=pool, proposer=proposer_of(settings)),
    )
    return clock.run(lambda state: search_over(state, target_loss=target_loss, patience=patience))


@dataclass(kw_only=True)
class _Running:
    index: int
    """Among the runs of the state."""
    trial: int
    seed: int
    started: int
    device: int
    curve: Curve
    """All of its evaluations, also those to come."""
    outcome: Outcome | None
    """``None``: it fails at its end."""
    steps: int
    """Updates that it takes if nothing stops it."""
    checks: list[ForecastCheck] = field(default_factory=list)

    def until(self, place: int) -> Curve:
        """Its curve up to one of its points."""
        return replace(self.curve, points=self.curve.points[: place + 1])


class _Clock:
    def __init__(self, state: StudyState, *, oracle: Oracle, devices: int, planner: Planner) -> None:
        self._state = state
        self._steps = state.settings.total_steps
        self._oracle = oracle
        self._devices = devices
        self._planner = planner
        self._free = list(range(devices))
        # Time, index of the run, and place of a point in its curve (past the last: its end).
        self._events: list[tuple[int, int, int]] = []
        self._running: dict[int, _Running] = {}
        self._runs: dict[int, SimulatedRun] = {}
        self._decisions: list[Decision] = []
        self._now = 0
        self._complete: list[Curve] = []
        self._forecaster: LossForecaster | None = None
        self._leader: tuple[Leader, float] | None = None
        self._raw: dict[int, RawPruning] = {}

    def run(self, stop: Callable[[StudyState], Stop | None]) -> Simulation:
        while True:
            self._state = replace(self._state, stop=stop(self._state))
            # Trials that end may end the search: nothing is chosen before.
            if ends := leading_ends(self._planner(self._state, capacity=0)):
                for end in ends:
                    self._carry_out(end)
                continue
            for decision in self._planner(self._state, capacity=len(self._free)):
                self._carry_out(decision)
            if self._decisions and isinstance(self._decisions[-1], Finish | GiveUp):
                return self._result()
            if not self._running:
                raise RuntimeError(f"the plan waits and nothing runs, after {len(self._decisions)} decisions")
            self._advance()

    def _carry_out(self, decision: Decision) -> None:
        self._decisions.append(decision)
        self._state = after(self._state, decision)
        match decision:
            case NewTrial():
                self._start(decision.number, seed=decision.seed)
            case Replicate():
                self._start(decision.trial, seed=decision.seed)

    def _start(self, trial: int, *, seed: int) -> None:
        configuration = self._state.trials[trial].configuration
        try:
            result = outcome(self._oracle, configuration, steps=self._steps, seed=seed, metric=self._state.metric)
        except RunFailed:
            result = None
        run = _Running(
            index=len(self._state.runs) - 1,
            trial=trial,
            seed=seed,
            started=self._now,
            device=heapq.heappop(self._free),
            curve=Curve(
                configuration=configuration,
                seed=seed,
                total_steps=self._steps,
                points=() if result is None else result.points,
            ),
            outcome=result,
            steps=self._steps if result is None else result.steps,
        )
        self._running[run.index] = run
        self._wait(run, place=0)

    def _wait(self, run: _Running, *, place: int) -> None:
        """Put the next look at a run on the clock: its next evaluation, or its end."""
        points = run.curve.points
        looks = self._may_stop(run) and place < len(points) and points[place][0] < run.steps
        step = points[place][0] if looks else run.steps
        heapq.heappush(self._events, (run.started + step, run.index, place if looks else len(points)))

    def _advance(self) -> None:
        """Advance the clock to the next end of a run, and record all runs that end then."""
        ended = False
        while self._events and not (ended and self._events[0][0] > self._now):
            self._now, index, place = heapq.heappop(self._events)
            run = self._running[index]
            if place >= len(run.curve.points):
                self._end(run, reached=None)
                ended = True
            elif self._is_stopped(run, place=place):
                self._end(run, reached=place)
                ended = True
            else:
                self._wait(run, place=place + 1)

    def _may_stop(self, run: _Running) -> bool:
        """Whether a worker would forecast the run: the first one of a schedule that is not the incumbent."""
        settings = self._state.settings
        role = self._state.trials[run.trial].role
        return settings.prune and role is not Role.INCUMBENT and is_first(run.seed, search_seed=settings.seed)

    def _is_stopped(self, run: _Running, *, place: int) -> bool:
        """Check the forecast of a run at one of its points, as a worker does."""
        if not self._complete:
            return False
        if self._forecaster is None:
            self._forecaster = LossForecaster(self._complete, total_steps=self._steps)
            self._leader = self._estimated_leader()
        if self._leader is None:
            return False
        leader, margin = self._leader
        check = check_forecast(self._forecaster, run.until(place), leader=leader, margin=margin)
        if check is None:
            return False
        if self._state.settings.pruner is not PrunerName.FORECAST:
            check = replace(check, stop=self._raw_pruning(run).stops(run.until(place)))
        run.checks.append(check)
        return check.stop and not is_audited(trial=run.trial, seed=run.seed)

    def _raw_pruning(self, run: _Running) -> RawPruning:
        if run.index not in self._raw:
            settings = self._state.settings
            others = {one.trial: one.curve for one in self._runs.values() if one.seed == run.seed and one.curve.points}
            self._raw[run.index] = RawPruning(settings.pruner, others=others, trial=run.trial, seed=settings.seed)
        return self._raw[run.index]

    def _estimated_leader(self) -> tuple[Leader, float] | None:
        """The expected loss of the recommended trial, and the margin."""
        estimates = Estimates(self._state)
        if not estimates.trials:
            return None
        best = estimates.expected(estimates.recommended)
        return Leader(mean=best.mean, std=best.std), estimates.margin

    def _end(self, run: _Running, *, reached: int | None) -> None:
        """Record the end of a run.

        Args:
            run: It leaves its device.
            reached: Place of the point at which its forecast stopped it; ``None``: it ran to its end.
        """
        del self._running[run.index]
        heapq.heappush(self._free, run.device)
        view = self._ended_view(run, reached=reached)
        runs = self._state.runs
        self._state = replace(self._state, runs=(*runs[: run.index], view, *runs[run.index + 1 :]))
        self._runs[run.index] = SimulatedRun(
            trial=run.trial,
            seed=run.seed,
            status=view.status,
            steps=view.steps,
            started=run.started,
            device=run.device,
            curve=run.curve if reached is None else run.until(reached),
            outcome=run.outcome,
            checks=tuple(run.checks),
        )
        if view.status is RunStatus.FAILED and run.seed == self._state.runs_of(run.trial)[0].seed:
            trials = self._state.trials
            trial = replace(trials[run.trial], status=TrialStatus.FAILED)
            self._state = replace(self._state, trials=(*trials[: run.trial], trial, *trials[run.trial + 1 :]))
        if view.status is RunStatus.FINISHED:
            self._complete.append(run.curve)
        self._state = replace(self._state, margin=loss_margin(self._state, curves=self._complete))
        self._forecaster = self._leader = None
        self._raw = {}

    def _ended_view(self, run: _Running, *, reached: int | None) -> RunView:
        view = replace(self._state.runs[run.index], steps=run.steps)
        if reached is not None:
            forecast = run.checks[-1].forecast
            steps = run.curve.points[reached][0]
            return replace(view, status=RunStatus.STOPPED, steps=steps, loss=forecast.mean, std=forecast.std)
        if run.outcome is None:
            return replace(view, status=RunStatus.FAILED)
        if run.outcome.loss is None:
            return replace(view, status=RunStatus.DIVERGED)
        return replace(view, status=RunStatus.FINISHED, loss=run.outcome.loss)

    def _result(self) -> Simulation:
        runs = tuple(self._runs[index] for index in sorted(self._runs))
        busy = sum(run.steps for run in runs)
        return Simulation(
            state=self._state,
            decisions=tuple(self._decisions),
            runs=runs,
            duration=self._now,
            idle=self._now * self._devices - busy,
        )
