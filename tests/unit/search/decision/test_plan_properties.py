"""Properties of every search, at any settings, losses and failures."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from tuner.search.decision.confirmation import SETTLING_SEEDS, unsettled
from tuner.search.decision.rungs import confirm_seeds, price, rung_steps, search_seed
from tuner.search.decision.standings import after

from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import (
    MEASURED_AGAINST,
    Audit,
    CompleteTrial,
    Confirm,
    Finish,
    GiveUp,
    NewTrial,
    Promote,
    Prune,
    RungResult,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.plan import plan
from tuner.search.settings import SearchSettings
from tuner.search.simulate import RunFailed, SimulatedRun, Simulation, simulate
from tuner.search.space import OptimizerKind, default_space

SPACE = default_space(OptimizerKind.ADAM)


@st.composite
def searches(draw: st.DrawFn, *, limited: bool | None = None) -> SearchSettings:
    settings = SearchSettings(
        total_steps=draw(st.integers(10, 1000)),
        trials=draw(st.integers(1, 30)),
        rungs=draw(st.integers(1, 4)),
        ratio=draw(st.floats(1.05, 3.0)),
        keep=draw(st.floats(0.05, 1.0)),
        cohort=draw(st.integers(2, 15)),
        audit=draw(st.sampled_from((0.0, 0.1, 1.0))),
        controls=draw(st.booleans()),
        finalists=draw(st.integers(1, 5)),
        confirm_seeds=draw(st.integers(0, 5)),
        seed=draw(st.integers(0, 2**31 - 1)),
        space=SPACE,
    )
    if draw(st.booleans()) if limited is None else limited:
        most = price(settings).updates
        settings = settings.model_copy(update={"max_updates": draw(st.integers(10, 2 * most))})
    return settings


def oracle(
    seed: int, *, diverging: float = 0.0, failing: float = 0.0
) -> Callable[[Configuration, int, int], float | None]:
    """Losses by chance, the same for the same run."""

    def loss(configuration: Configuration, steps: int, run_seed: int) -> float | None:
        rng = random.Random(f"{seed} {configuration.schedule.digest} {steps} {run_seed}")
        fate = rng.random()
        if fate < failing:
            raise RunFailed
        return None if fate < failing + diverging else rng.choice((0.5, rng.random()))

    return loss


def run(
    settings: SearchSettings, *, chance: int, workers: int, diverging: float = 0.0, failing: float = 0.0
) -> Simulation:
    rng = random.Random(chance)

    def ask(state: object, decision: NewTrial) -> Configuration:
        if decision.schedule is not None:
            return Configuration(schedule=decision.schedule)
        values = {"family": "cosine", "peak_lr": 1e-4 * 300 ** rng.random(), "warmup": 0.05, "floor": 0.0}
        return Configuration(schedule=SPACE.build(values))

    loss = oracle(chance, diverging=diverging, failing=failing)
    return simulate(settings, loss=loss, ask=ask, workers=workers)


def searching(result: Simulation) -> list[SimulatedRun]:
    """The runs of the rungs, without audits and confirmations."""
    settings, top = result.state.settings, len(rung_steps(result.state.settings)) - 1
    audited = {(one.trial, top) for one in result.state.audits}
    return [one for one in result.runs if one.seed == search_seed(settings) and (one.trial, one.rung) not in audited]


def any_state(settings: SearchSettings, *, rng: random.Random) -> StudyState:
    """A study in the middle of things, also such as no search comes to: much ends at once."""
    top = len(rung_steps(settings)) - 1
    trials = [
        any_trial(number, settings=settings, top=top, rng=rng) for number in range(rng.randint(0, settings.trials))
    ]
    committed = rng.randint(0, settings.max_updates or 0)
    return StudyState(settings=settings, trials=tuple(trials), confirmations=(), updates_committed=committed)


def any_trial(number: int, *, settings: SearchSettings, top: int, rng: random.Random) -> TrialView:
    losses: list[float | None] = [rng.random() for _ in range(rng.randint(0, top + 1))]
    diverged = bool(losses) and rng.random() < 0.1
    if diverged:
        losses[-1] = None
    status = rng.choice((*[TrialStatus.ACTIVE] * 4, TrialStatus.PRUNED, TrialStatus.FAILED))
    unfinished = status is TrialStatus.ACTIVE and len(losses) <= top and not diverged
    return TrialView(
        number=number,
        cohort=number // settings.cohort,
        control=rng.choice((None, None, *MEASURED_AGAINST)),
        status=status,
        schedule=None,
        results=tuple(RungResult(loss=loss) for loss in losses),
        running=unfinished and (not losses or rng.random() < 0.2),
    )


CHANCE = st.integers(0, 2**32)
WORKERS = st.integers(1, 50)
SHARE = st.sampled_from((0.0, 0.1, 0.5, 1.0))


@given(settings=searches(), chance=CHANCE, workers=WORKERS, diverging=SHARE, failing=SHARE)
def test_every_search_ends_within_its_means(
    settings: SearchSettings, chance: int, workers: int, diverging: float, failing: float
) -> None:
    result = run(settings, chance=chance, workers=workers, diverging=diverging, failing=failing)

    assert all(decision.reason for decision in result.decisions)
    assert all(trial.status is not TrialStatus.ACTIVE for trial in result.state.trials)
    assert result.updates == result.state.updates_committed
    assert result.updates <= price(settings).updates
    assert isinstance(result.decisions[-1], Finish) == any(
        trial.status is TrialStatus.COMPLETED for trial in result.state.trials
    )
    assert len(result.state.trials) <= settings.trials
    if settings.max_updates is not None:
        assert result.updates <= settings.max_updates


@given(settings=searches(), chance=CHANCE, workers=WORKERS, diverging=SHARE, failing=SHARE)
def test_nothing_is_requested_twice_and_nothing_is_decided_twice(
    settings: SearchSettings, chance: int, workers: int, diverging: float, failing: float
) -> None:
    result = run(settings, chance=chance, workers=workers, diverging=diverging, failing=failing)

    runs = Counter((one.trial, one.rung, one.seed) for one in result.runs)
    ends = Counter(one.trial for one in result.decisions if isinstance(one, Prune | CompleteTrial))
    numbers = [one.number for one in result.decisions if isinstance(one, NewTrial)]
    assert set(runs.values()) <= {1}
    assert set(ends.values()) <= {1}
    assert numbers == list(range(len(numbers)))


@given(settings=searches(limited=False), chance=CHANCE, workers=WORKERS, diverging=SHARE)
def test_without_a_limit_exactly_the_requested_number_of_trials_is_tried(
    settings: SearchSettings, chance: int, workers: int, diverging: float
) -> None:
    result = run(settings, chance=chance, workers=workers, diverging=diverging, failing=0.0)

    assert len(result.state.trials) == settings.trials


@given(settings=searches(), chance=CHANCE, workers=WORKERS)
def test_the_best_trial_and_the_measured_controls_are_trained_in_full_and_confirmed(
    settings: SearchSettings, chance: int, workers: int
) -> None:
    result = run(settings, chance=chance, workers=workers)

    if settings.max_updates is not None and settings.max_updates < price(settings).least:
        return
    completed = [trial for trial in result.state.trials if trial.status is TrialStatus.COMPLETED]
    assert completed
    if not settings.confirm_seeds:
        return
    ends = [(trial.results[-1].loss or 0.0, trial.number) for trial in completed]
    ends += [(one.loss or 0.0, one.trial) for one in result.state.audits]
    confirmed = {one.trial for one in result.state.confirmations}
    assert min(ends)[1] in confirmed
    for control in MEASURED_AGAINST:
        if settings.controls and any(trial.control is control for trial in result.state.trials):
            assert any(trial.control is control and trial.number in confirmed for trial in completed)


@given(settings=searches(limited=False), chance=CHANCE, workers=WORKERS)
def test_without_a_limit_every_candidate_is_confirmed_on_every_fresh_seed_until_it_is_settled(
    settings: SearchSettings, chance: int, workers: int
) -> None:
    result = run(settings, chance=chance, workers=workers)

    seeds = confirm_seeds(settings)
    losses = {(one.trial, one.seed): one.loss for one in result.state.confirmations}
    confirmed = {trial for trial, _ in losses}
    assert bool(confirmed) is bool(seeds)
    assert len(confirmed) <= settings.finalists + len(MEASURED_AGAINST)
    assert search_seed(settings) not in seeds
    for place, seed in enumerate(seeds):
        earlier = {
            trial: [losses[trial, one] for one in seeds[:place] if (trial, one) in losses] for trial in confirmed
        }
        wanted = confirmed if place < SETTLING_SEEDS else set(unsettled(earlier))
        assert {trial for trial in confirmed if (trial, seed) in losses} == wanted


@given(settings=searches(limited=False), chance=CHANCE, workers=WORKERS, diverging=SHARE)
def test_no_device_idles_while_trials_remain(
    settings: SearchSettings, chance: int, workers: int, diverging: float
) -> None:
    result = run(settings, chance=chance, workers=workers, diverging=diverging)

    first_rungs = [one for one in result.runs if one.rung == 0 and one.seed == search_seed(settings)]
    last_opened = max(one.started for one in first_rungs)
    busy = sum(min(one.finished, last_opened) - one.started for one in result.runs if one.started < last_opened)
    assert busy == workers * last_opened


@given(settings=searches(limited=False), chance=CHANCE, diverging=SHARE)
def test_one_worker_goes_cohort_by_cohort(settings: SearchSettings, chance: int, diverging: float) -> None:
    result = run(settings, chance=chance, workers=1, diverging=diverging)

    cohorts = [one.trial // settings.cohort for one in searching(result)]
    assert cohorts == sorted(cohorts)


@given(settings=searches(limited=False), chance=CHANCE, workers=WORKERS)
def test_no_more_than_the_keep_share_is_promoted_besides_the_controls(
    settings: SearchSettings, chance: int, workers: int
) -> None:
    result = run(settings, chance=chance, workers=workers)

    runs = Counter(one.rung for one in searching(result))
    bounds = price(settings).rung_runs
    assert all(runs[rung] <= bound for rung, bound in enumerate(bounds))
    assert len(result.state.audits) <= price(settings).audit_runs
    assert len(result.state.confirmations) <= price(settings).confirm_runs
    assert len(bounds) == len(rung_steps(settings))


@given(settings=searches(), chance=CHANCE, diverging=SHARE, failing=SHARE, capacity=st.integers(0, 5))
def test_the_same_state_gives_the_same_plan_within_capacity(
    settings: SearchSettings, chance: int, diverging: float, failing: float, capacity: int
) -> None:
    state = run(settings, chance=chance, workers=3, diverging=diverging, failing=failing).state

    decisions = plan(state, capacity=capacity)
    assert decisions == plan(state, capacity=capacity)
    assert sum(isinstance(one, NewTrial | Promote | Confirm | Audit) for one in decisions) <= capacity
    assert isinstance(decisions[-1], Finish | GiveUp)


@given(settings=searches(), chance=CHANCE, capacity=st.integers(0, 5))
def test_decisions_returned_together_are_those_that_would_be_returned_one_at_a_time(
    settings: SearchSettings, chance: int, capacity: int
) -> None:
    state = any_state(settings, rng=random.Random(chance))

    for decision in plan(state, capacity=capacity):
        assert plan(state, capacity=capacity)[0] == decision
        state = after(state, decision)
        capacity -= isinstance(decision, NewTrial | Promote | Confirm | Audit)
