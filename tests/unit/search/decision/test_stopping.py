"""When a search has seen enough, and what a study does that should stop."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuner.search.decision.controls import control_of
from tuner.search.decision.rungs import price
from tuner.search.decision.standings import after

from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import (
    Audit,
    CompleteTrial,
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
from tuner.search.decision.plan import plan
from tuner.search.decision.stopping import search_over
from tuner.search.settings import SearchSettings
from tuner.search.simulate import RunFailed, Simulation, simulate
from tuner.search.space import OptimizerKind, default_space

SPACE = default_space(OptimizerKind.ADAM)
SETTINGS = SearchSettings(
    total_steps=900, rungs=3, trials=12, cohort=6, audit=0.0, space=SPACE
)  # rungs of 100, 300 and 900 updates
ACTIVE, PRUNED, COMPLETED, FAILED = (
    TrialStatus.ACTIVE,
    TrialStatus.PRUNED,
    TrialStatus.COMPLETED,
    TrialStatus.FAILED,
)


def trial(number: int, *losses: float | None, status: TrialStatus, running: bool = False) -> TrialView:
    results = tuple(RungResult(loss=loss) for loss in losses)
    return TrialView(
        number=number, cohort=number // 6, control=None, status=status, schedule=None, results=results, running=running
    )


def done(number: int, loss: float) -> TrialView:
    return trial(number, 0.9, 0.8, loss, status=COMPLETED)


def state(*trials: TrialView, stop: Stop | None = None, confirmations: tuple[ConfirmView, ...] = ()) -> StudyState:
    return StudyState(settings=SETTINGS, trials=trials, confirmations=confirmations, updates_committed=0, stop=stop)


def over(*trials: TrialView, target_loss: float | None = None, patience: int | None = None) -> str | None:
    stop = search_over(state(*trials), target_loss=target_loss, patience=patience)
    assert stop is None or not stop.at_once
    return None if stop is None else stop.reason


class TestTargetLoss:
    def test_a_trial_at_the_full_horizon_that_reaches_it_ends_the_search(self) -> None:
        assert over(done(0, 0.5), done(1, 0.4), target_loss=0.4) == ("the target 0.4 is reached: trial 1 has 0.4")

    def test_a_loss_at_a_lower_rung_does_not_count(self) -> None:
        assert over(trial(0, 0.1, 0.1, status=ACTIVE), target_loss=0.4) is None

    def test_a_divergence_reaches_nothing(self) -> None:
        assert over(trial(0, 0.5, 0.5, None, status=PRUNED), target_loss=1e9) is None


class TestPatience:
    def test_so_many_trials_without_a_new_best_end_the_search(self) -> None:
        trials = (done(0, 0.5), done(1, 0.4), done(2, 0.4), trial(3, 0.9, status=PRUNED), trial(4, status=FAILED))
        assert over(*trials, patience=3) == (
            "3 trials in a row did not improve on the result at the full horizon of trial 1"
        )
        assert over(*trials, patience=4) is None

    def test_before_the_first_trial_at_the_horizon_nothing_counts(self) -> None:
        pruned = [trial(number, 0.9, status=PRUNED) for number in range(9)]
        assert over(*pruned, patience=3) is None

    def test_trials_after_one_that_is_still_open_do_not_count_yet(self) -> None:
        trials = [done(0, 0.5), trial(1, 0.1, status=ACTIVE), *(trial(n, 0.9, status=PRUNED) for n in range(2, 9))]
        assert over(*trials, patience=3) is None

    def test_a_new_best_after_enough_trials_without_one_does_not_reopen_the_search(self) -> None:
        trials = [done(0, 0.5), *(trial(n, 0.9, status=PRUNED) for n in range(1, 4)), done(4, 0.1)]
        assert over(*trials, patience=3) is not None


class TestSearchOver:
    def test_no_trial_is_opened_and_open_ones_are_decided_without_waiting_for_a_full_cohort(self) -> None:
        waiting = [trial(number, 0.1 * (number + 1), status=ACTIVE) for number in range(3)]
        assert [type(one) for one in plan(state(*waiting), capacity=1)] == [NewTrial]
        stopped = plan(state(*waiting, stop=Stop.search_over("enough")), capacity=1)
        assert [one.trial for one in stopped if isinstance(one, Promote)] == [0]

    def test_the_best_are_confirmed_and_the_study_ends_with_the_reason(self) -> None:
        stop = Stop.search_over("enough")
        finalists = state(done(0, 0.5), done(1, 0.4), stop=stop)
        while isinstance((decisions := plan(finalists, capacity=99))[0], Confirm):
            runs = [
                ConfirmView(trial=one.trial, seed=one.seed, finished=True, loss=0.5)
                for one in decisions
                if isinstance(one, Confirm)
            ]
            finalists = replace(finalists, confirmations=(*finalists.confirmations, *runs))
        (end,) = decisions
        assert end == Finish(reason="enough: 2 of 12 trials were tried, and 10 of 10 confirmation runs made")


class TestNow:
    def test_pending_runs_are_not_waited_for(self) -> None:
        running = trial(1, 0.5, status=ACTIVE, running=True)
        seeds = (
            ConfirmView(trial=0, seed=1, finished=True, loss=0.5),
            ConfirmView(trial=0, seed=2, finished=False, loss=None),
        )
        decisions = plan(state(done(0, 0.4), running, stop=Stop.now("time is up"), confirmations=seeds), capacity=9)
        assert decisions == (Finish(reason="time is up: 2 of 12 trials were tried, and 1 of 5 confirmation runs made"),)

    def test_a_trial_at_the_horizon_counts(self) -> None:
        waiting = trial(0, 0.9, 0.8, 0.4, status=ACTIVE)
        closed, end = plan(state(waiting, stop=Stop.now("time is up")), capacity=0)
        assert isinstance(closed, CompleteTrial)
        assert isinstance(end, Finish)

    @pytest.mark.parametrize("trials", [(), (trial(0, 0.9, 0.8, status=ACTIVE, running=True),)])
    def test_without_a_trial_at_the_horizon_there_is_no_recommendation(self, trials: tuple[TrialView, ...]) -> None:
        assert plan(state(*trials, stop=Stop.now("time is up")), capacity=1) == (
            GiveUp(
                reason="time is up, and no trial had reached the full horizon: raise the limit and try the job again"
            ),
        )


def run(settings: SearchSettings, *, chance: int, workers: int, **limits: float | int | None) -> Simulation:
    rng = random.Random(chance)

    def ask(state: StudyState, decision: NewTrial) -> Configuration:
        if decision.schedule is not None:
            return Configuration(schedule=decision.schedule)
        values = {"family": "cosine", "peak_lr": 1e-4 * 300 ** rng.random(), "warmup": 0.05, "floor": 0.0}
        return Configuration(schedule=SPACE.build(values))

    def loss(configuration: Configuration, steps: int, seed: int) -> float | None:
        fate = random.Random(f"{chance} {configuration.schedule.digest} {steps} {seed}")
        luck = fate.random()
        if luck < 0.05:
            raise RunFailed
        return None if luck < 0.15 else fate.random()

    return simulate(settings, loss=loss, ask=ask, workers=workers, **limits)  # type: ignore[arg-type]


@st.composite
def searches(draw: st.DrawFn) -> SearchSettings:
    return SearchSettings(
        total_steps=draw(st.integers(10, 1000)),
        trials=draw(st.integers(1, 40)),
        rungs=draw(st.integers(1, 3)),
        cohort=draw(st.integers(2, 10)),
        confirm_seeds=2,
        seed=draw(st.integers(0, 100)),
        space=SPACE,
    )


@given(
    settings=searches(),
    chance=st.integers(0, 2**32),
    workers=st.integers(1, 20),
    target_loss=st.none() | st.floats(0, 1),
    patience=st.none() | st.integers(1, 12),
)
def test_a_search_that_is_over_stays_over_and_its_best_are_confirmed(
    settings: SearchSettings, chance: int, workers: int, target_loss: float | None, patience: int | None
) -> None:
    result = run(settings, chance=chance, workers=workers, target_loss=target_loss, patience=patience)

    trials = result.state.trials
    assert len(trials) <= settings.trials
    assert all(one.status is not TrialStatus.ACTIVE for one in trials)
    completed = [one for one in trials if one.status is COMPLETED]
    assert isinstance(result.decisions[-1], Finish) == bool(completed)
    at_the_horizon = {one.number for one in completed} | {one.trial for one in result.state.audits}
    assert {one.trial for one in result.state.confirmations} <= at_the_horizon
    if result.state.stop is None:
        assert len(trials) == settings.trials or not any(one.results for one in trials)
    else:
        assert result.state.confirmations


@given(settings=searches(), chance=st.integers(0, 2**32), patience=st.integers(1, 12))
def test_with_one_worker_a_search_ends_as_soon_as_it_may(settings: SearchSettings, chance: int, patience: int) -> None:
    with_limit = run(settings, chance=chance, workers=1, patience=patience)
    without = run(settings, chance=chance, workers=1)

    assert len(with_limit.state.trials) <= len(without.state.trials)
    rungs = [sum(one.steps for one in result.runs if one.seed == settings.seed) for result in (with_limit, without)]
    assert rungs[0] <= rungs[1]


def finished(before: StudyState, decision: Decision, *, rng: random.Random) -> StudyState:
    """The state once a decision is carried out and its run, if any, has ended."""
    now = after(before, decision)
    loss = None if rng.random() < 0.1 else rng.random()
    match decision:
        case NewTrial(number=number) | Promote(trial=number):
            one = now.trials[number]
            ended = replace(one, running=False, results=(*one.results, RungResult(loss=loss)))
            return replace(now, trials=(*now.trials[:number], ended, *now.trials[number + 1 :]))
        case Confirm():
            *others, one_run = now.confirmations
            return replace(now, confirmations=(*others, replace(one_run, finished=True, loss=loss)))
        case Audit():
            *earlier, one_audit = now.audits
            return replace(now, audits=(*earlier, replace(one_audit, finished=True, loss=loss)))
        case _:
            return now


@given(
    settings=searches(),
    chance=st.integers(0, 2**32),
    steps=st.integers(0, 80),
    trials=st.integers(1, 60),
    spare=st.none() | st.integers(0, 20_000),
)
def test_a_study_whose_budget_is_changed_in_its_midst_ends_within_the_new_one(
    settings: SearchSettings, chance: int, steps: int, trials: int, spare: int | None
) -> None:
    rng = random.Random(chance)
    now = StudyState(settings=settings, trials=(), confirmations=(), updates_committed=0)
    ended = False
    for step in count():
        if step == steps:
            changed = settings.model_copy(update={"trials": max(trials, len(now.trials))})
            limit = None if spare is None else max(price(changed).least, now.updates_committed + spare)
            now = replace(now, settings=changed.model_copy(update={"max_updates": limit}))
        decisions = plan(now, capacity=1)
        if isinstance(decisions[-1], Finish | GiveUp):
            ended = True
            if step >= steps:
                break
            continue  # the job waits for nothing but the change: as one that was raised at the last moment
        for decision in decisions:
            if isinstance(decision, NewTrial) and decision.control is not None:
                assert decision.control is control_of(decision.number, settings=now.settings)
            now = finished(now, decision, rng=rng)
    assert ended
    assert len(now.trials) <= now.settings.trials
    if now.settings.max_updates is not None:
        assert now.updates_committed <= now.settings.max_updates
    else:
        assert len(now.trials) == now.settings.trials
    assert all(one.status is not ACTIVE for one in after_all(now))


def after_all(state: StudyState) -> tuple[TrialView, ...]:
    """The trials after the last decisions."""
    for decision in plan(state, capacity=0):
        state = after(state, decision)
    return state.trials
