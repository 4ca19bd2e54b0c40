"""Simulates a search on a virtual clock: plan and sampler as in a job, without training and without a database."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

from tuner.search.configuration import Configuration, OptionValues
from tuner.search.decision.decisions import (
    Audit,
    AuditView,
    Confirm,
    ConfirmView,
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    Promote,
    RungResult,
    Stop,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.plan import leading_ends, plan
from tuner.search.decision.rungs import rung_steps, search_seed
from tuner.search.decision.standings import after, loss_at
from tuner.search.decision.stopping import search_over
from tuner.search.sampler.propose import configuration_for
from tuner.search.settings import SearchSettings

Loss = Callable[[Configuration, int, int], float | None]
"""Validation loss of a configuration (defined at the full horizon) after a run of so many updates with this seed.

``None`` when it diverges; raises `RunFailed` when the workload fails.
"""
RunCost = Callable[[Configuration, int, int], int]
"""Updates that such a run takes, less those of a shared prefix that is trained already."""
Ask = Callable[[StudyState, NewTrial], Configuration]
"""The configuration of a new trial."""


class RunFailed(Exception):
    """Raised by a `Loss` when the workload fails on this run."""


@dataclass(frozen=True, kw_only=True)
class SimulatedRun:
    """A simulated run. Times are in updates: a device does one per unit of time."""

    trial: int
    rung: int
    seed: int
    steps: int
    started: int
    finished: int
    device: int


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The result of a simulated search."""

    state: StudyState
    """The final state of the study."""
    decisions: tuple[Decision, ...]
    """In order; the last is `Finish` or `GiveUp`."""
    runs: tuple[SimulatedRun, ...]
    """In the order of their start."""
    updates: int
    """Updates of all runs, each shared prefix counted once."""
    duration: int
    """Virtual time from start to end."""
    idle: int
    """Idle virtual time, summed over the devices."""
    winner: TrialView | None
    """The completed trial with the lowest median over its confirmations; ``None`` when no trial was completed."""


def simulate(
    settings: SearchSettings,
    *,
    loss: Loss,
    workers: int,
    ask: Ask | None = None,
    run_cost: RunCost | None = None,
    target_loss: float | None = None,
    patience: int | None = None,
    usual_options: OptionValues = (),
) -> Simulation:
    """Simulate one search.

    Args:
        settings: The search, with its space.
        loss: The oracle.
        workers: Devices, at least 1.
        ask: Called once per new trial, in order; `configuration_for`, as in jobs, when absent.
        run_cost: Called once per run, when it ends; every run costs its length when absent.
        target_loss: See `tuner.search.decision.stopping.search_over`.
        patience: See `tuner.search.decision.stopping.search_over`.
        usual_options: Values of the searched options in the job.

    Raises:
        RuntimeError: The plan waits although nothing runs: a defect of the plan.
    """
    state = StudyState(settings=settings, trials=(), confirmations=(), updates_committed=0, usual_options=usual_options)
    clock = _Clock(state, loss=loss, ask=ask or _propose, run_cost=run_cost or _full_cost, workers=workers)
    return clock.run(lambda state: search_over(state, target_loss=target_loss, patience=patience))


def _full_cost(configuration: Configuration, steps: int, seed: int) -> int:
    return steps


def _propose(state: StudyState, decision: NewTrial) -> Configuration:
    return configuration_for(decision, state=state)


class _Clock:
    def __init__(self, state: StudyState, *, loss: Loss, ask: Ask, run_cost: RunCost, workers: int) -> None:
        self._state = state
        self._steps = rung_steps(state.settings)
        self._loss = loss
        self._ask = ask
        self._run_cost = run_cost
        self._shared = 0
        self._workers = workers
        self._free = list(range(workers))
        self._running: list[tuple[int, int, SimulatedRun]] = []
        self._runs: list[SimulatedRun] = []
        self._decisions: list[Decision] = []
        self._now = 0

    def run(self, stop: Callable[[StudyState], Stop | None]) -> Simulation:
        while True:
            self._state = replace(self._state, stop=stop(self._state))
            decisions = plan(self._state, capacity=len(self._free))
            ends = leading_ends(decisions)
            for decision in ends or decisions:
                self._carry_out(decision)
            if ends:
                continue
            if self._decisions and isinstance(self._decisions[-1], Finish | GiveUp):
                return self._result()
            if not self._running:
                raise RuntimeError(f"the plan waits and nothing runs, after {len(self._decisions)} decisions")
            self._finish_next()

    def _carry_out(self, decision: Decision) -> None:
        if isinstance(decision, NewTrial):
            configuration = self._ask(self._state, decision)
            decision = replace(decision, schedule=configuration.schedule, options=configuration.options)
        self._decisions.append(decision)
        self._state = after(self._state, decision)
        match decision:
            case NewTrial():
                self._start(decision.number, rung=0, seed=search_seed(self._state.settings))
            case Promote():
                self._start(decision.trial, rung=decision.rung, seed=search_seed(self._state.settings))
            case Confirm():
                self._start(decision.trial, rung=len(self._steps) - 1, seed=decision.seed)
            case Audit():
                self._start(decision.trial, rung=len(self._steps) - 1, seed=search_seed(self._state.settings))

    def _start(self, trial: int, *, rung: int, seed: int) -> None:
        steps = self._steps[rung]
        run = SimulatedRun(
            trial=trial,
            rung=rung,
            seed=seed,
            steps=steps,
            started=self._now,
            finished=self._now + steps,
            device=heapq.heappop(self._free),
        )
        heapq.heappush(self._running, (run.finished, len(self._runs), run))
        self._runs.append(run)

    def _finish_next(self) -> None:
        """Advance the clock to the next end of a run, and record all runs that end then."""
        self._now = self._running[0][0]
        while self._running and self._running[0][0] == self._now:
            run = heapq.heappop(self._running)[-1]
            heapq.heappush(self._free, run.device)
            self._record(run)

    def _record(self, run: SimulatedRun) -> None:
        trial = self._state.trials[run.trial]
        configuration = trial.configuration
        if configuration is None:
            raise RuntimeError(f"trial {trial.number} runs without a schedule")
        shared = run.steps - self._run_cost(configuration, run.steps, run.seed)
        self._shared += shared
        self._state = replace(self._state, updates_committed=self._state.updates_committed - shared)
        failed = False
        loss: float | None = None
        try:
            loss = self._loss(configuration, run.steps, run.seed)
        except RunFailed:
            failed = True
        if run.seed != search_seed(self._state.settings):
            ended = ConfirmView(trial=run.trial, seed=run.seed, finished=True, loss=loss)
            others = (one for one in self._state.confirmations if (one.trial, one.seed) != (run.trial, run.seed))
            self._state = replace(self._state, confirmations=(*others, ended))
            return
        if trial.status is TrialStatus.PRUNED:
            audit = AuditView(trial=run.trial, finished=True, loss=loss)
            audits = (*(one for one in self._state.audits if one.trial != run.trial), audit)
            self._state = replace(self._state, audits=audits)
            return
        if failed:
            trial = replace(trial, running=False, status=TrialStatus.FAILED)
        else:
            trial = replace(trial, running=False, results=(*trial.results, RungResult(loss=loss)))
        trials = (*self._state.trials[: run.trial], trial, *self._state.trials[run.trial + 1 :])
        self._state = replace(self._state, trials=trials)

    def _result(self) -> Simulation:
        updates = sum(run.steps for run in self._runs)
        return Simulation(
            state=self._state,
            decisions=tuple(self._decisions),
            runs=tuple(self._runs),
            updates=updates - self._shared,
            duration=self._now,
            idle=self._now * self._workers - updates,
            winner=self._winner(),
        )

    def _winner(self) -> TrialView | None:
        completed = [trial for trial in self._state.trials if trial.status is TrialStatus.COMPLETED]
        return min(completed, key=self._rank, default=None)

    def _rank(self, trial: TrialView) -> tuple[bool, bool, float, float]:
        """Diverged on a fresh seed last; confirmed trials first, by their median; then by the search's loss."""
        runs = [run for run in self._state.confirmations if run.trial == trial.number]
        losses = [run.loss for run in runs if run.loss is not None]
        median = statistics.median(losses) if losses else 0.0
        return (len(losses) < len(runs), not losses, median, loss_at(trial, len(self._steps) - 1))
