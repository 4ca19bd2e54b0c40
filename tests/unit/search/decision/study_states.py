"""States of small studies, and whole studies without a clock. The horizon is 900 updates."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tuner.schedules import Cosine, Family, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import (
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    Role,
    RunStatus,
    RunView,
    Stop,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.plan import after, plan
from tuner.search.decision.seeds import run_seed
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, default_space

SPACE = default_space(OptimizerKind.ADAM)
STEPS = 900
FINISHED, RUNNING, DIVERGED, STOPPED, FAILED = (
    RunStatus.FINISHED,
    RunStatus.RUNNING,
    RunStatus.DIVERGED,
    RunStatus.STOPPED,
    RunStatus.FAILED,
)


def at(peak: float, *, family: Family | None = None, warmup: float = 0.05) -> Configuration:
    ramp = Warmup(shape="linear", fraction=warmup) if warmup else Warmup()
    return Configuration(schedule=Schedule(peak_lr=peak, family=family or Cosine(), warmup=ramp))


INCUMBENT = at(2e-3)


def settings(**changes: object) -> SearchSettings:
    values = {"total_steps": STEPS, "space": SPACE, "incumbent": INCUMBENT.schedule, **changes}
    return SearchSettings.model_validate(values)


def seed_at(place: int) -> int:
    """The seed of a place in a search whose own seed is 0."""
    return run_seed(0, place=place)


def trial(
    number: int, configuration: Configuration, *, status: TrialStatus = TrialStatus.COMPLETED, role: Role | None = None
) -> TrialView:
    role = Role.INCUMBENT if configuration == INCUMBENT else role
    return TrialView(number=number, role=role, status=status, configuration=configuration)


def run(
    number: int,
    loss: float | None = None,
    *,
    place: int = 0,
    status: RunStatus = FINISHED,
    steps: int = STEPS,
    std: float = 0.0,
) -> RunView:
    return RunView(trial=number, seed=seed_at(place), status=status, steps=steps, loss=loss, std=std)


def state(
    *rows: tuple[Configuration, Sequence[float]],
    stop: Stop | None = None,
    margin: float | None = None,
    **changes: object,
) -> StudyState:
    """A study of completed trials: the configuration of each, and its losses on the first seeds."""
    return StudyState(
        settings=settings(**changes),
        trials=tuple(trial(number, configuration) for number, (configuration, _) in enumerate(rows)),
        runs=tuple(
            run(number, loss, place=place)
            for number, (_, losses) in enumerate(rows)
            for place, loss in enumerate(losses)
        ),
        stop=stop,
        margin=margin,
    )


Outcome = tuple[RunStatus, float | None]
Workload = Callable[[Configuration, int], Outcome]
"""How a run ends: its status, and its loss, which of a stopped run is the forecast."""


def bowl(*, noise: float = 0.0, chance: int = 0) -> Workload:
    """The best peak is 3e-3; ``noise`` is the standard deviation over seeds."""

    def outcome(configuration: Configuration, seed: int) -> Outcome:
        luck = random.Random(f"{chance} {configuration.label} {seed}").gauss()
        return FINISHED, 1.0 + 0.1 * math.log(configuration.schedule.peak_lr / 3e-3) ** 2 + noise * luck

    return outcome


@dataclass(frozen=True, kw_only=True)
class Study:
    state: StudyState
    decisions: tuple[Decision, ...]
    most_running: int
    """Runs at a time."""

    @property
    def end(self) -> Finish | GiveUp:
        last = self.decisions[-1]
        assert isinstance(last, Finish | GiveUp)
        return last


def study(
    settings: SearchSettings,
    *,
    workload: Workload,
    devices: int = 1,
    pool: Sequence[Configuration] | None = None,
    stop: Callable[[StudyState], Stop | None] = lambda _: None,
    chance: int = 0,
) -> Study:
    """A whole study: of the runs that are running, a random one ends next."""
    rng = random.Random(chance)
    now = StudyState(settings=settings)
    decisions: list[Decision] = []
    most = 0
    while True:
        now = replace(now, stop=now.stop or stop(now))
        busy = sum(one.status is RUNNING for one in now.runs)
        for decision in plan(now, capacity=devices - busy, pool=pool):
            decisions.append(decision)
            now = after(now, decision)
        running = [index for index, one in enumerate(now.runs) if one.status is RUNNING]
        most = max(most, len(running))
        if decisions and isinstance(decisions[-1], Finish | GiveUp):
            return Study(state=now, decisions=tuple(decisions), most_running=most)
        assert running, "the plan waits although nothing runs"
        now = ended(now, rng.choice(running), workload=workload)


def ended(before: StudyState, index: int, *, workload: Workload) -> StudyState:
    """The state once one of its running runs has ended."""
    view = before.runs[index]
    status, loss = workload(before.trials[view.trial].configuration, view.seed)
    steps = STEPS // 3 if status is STOPPED else STEPS
    std = 0.1 if status is STOPPED else 0.0
    view = replace(view, status=status, loss=loss, steps=steps, std=std)
    now = replace(before, runs=(*before.runs[:index], view, *before.runs[index + 1 :]))
    if status is FAILED and now.runs_of(view.trial)[0] == view:
        failed = replace(now.trials[view.trial], status=TrialStatus.FAILED)
        now = replace(now, trials=(*now.trials[: view.trial], failed, *now.trials[view.trial + 1 :]))
    return now


def opened(decisions: Sequence[Decision]) -> list[NewTrial]:
    return [one for one in decisions if isinstance(one, NewTrial)]
