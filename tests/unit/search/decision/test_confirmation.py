"""What is trained once the search is over. The horizon is 900 updates, the lower rung 300."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.schedules import Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.decision.confirmation import (
    SETTLING_SEEDS,
    candidates,
    missing_audits,
    missing_confirmations,
    unsettled,
)
from tuner.search.decision.decisions import (
    Audit,
    AuditView,
    Confirm,
    ConfirmView,
    Control,
    Finish,
    NewTrial,
    Promote,
    RungResult,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.plan import plan
from tuner.search.decision.rungs import most_confirmations, rung_steps
from tuner.search.decision.standings import Standings
from tuner.search.settings import SearchSettings
from tuner.search.simulate import simulate
from tuner.search.space import OptimizerKind, default_space

SPACE = default_space(OptimizerKind.ADAM)
COMPLETED, PRUNED = TrialStatus.COMPLETED, TrialStatus.PRUNED


def trial(
    number: int,
    *losses: float | None,
    peak: float = 1e-3,
    control: Control | None = None,
    status: TrialStatus = COMPLETED,
) -> TrialView:
    return TrialView(
        number=number,
        cohort=0,
        control=control,
        status=status,
        schedule=Schedule(peak_lr=peak, family=Linear()),
        results=tuple(RungResult(loss=loss) for loss in losses),
        running=False,
    )


def state(*trials: TrialView, **changes: object) -> StudyState:
    search = {"total_steps": 900, "rungs": 2, "trials": len(trials), "controls": False, "space": SPACE, **changes}
    return StudyState(
        settings=SearchSettings.model_validate(search), trials=trials, confirmations=(), updates_committed=0
    )


def confirmed(now: StudyState, losses: Mapping[int, float | None]) -> StudyState:
    """The state once all confirmation runs that can be asked for have ended, each trial's with its loss."""
    runs = [
        ConfirmView(trial=one.trial, seed=one.seed, finished=True, loss=losses[one.trial])
        for one in missing_confirmations(Standings(now))
    ]
    return replace(now, confirmations=(*now.confirmations, *runs))


class TestUnsettled:
    def test_before_three_seeds_no_candidate_is_settled(self) -> None:
        assert unsettled({0: [0.1, 0.1], 1: [0.9, 0.9]}) == [0, 1]

    def test_a_significantly_worse_candidate_is_settled_and_others_continue(self) -> None:
        losses = {0: [0.10, 0.20, 0.15], 1: [0.11, 0.19, 0.16], 2: [0.50, 0.60, 0.56]}

        assert unsettled(losses) == [0, 1]

    def test_losses_are_paired_by_seed_so_that_what_seeds_share_does_not_count(self) -> None:
        best = [0.1, 0.5, 0.9]

        assert unsettled({0: best, 1: [loss + 0.01 for loss in best], 2: [0.1, 0.501, 0.9]}) == [0, 2]

    def test_with_no_candidate_left_to_distinguish_the_best_is_settled_too(self) -> None:
        assert unsettled({0: [0.1, 0.11, 0.1], 1: [0.9, 0.91, 0.92]}) == []
        assert unsettled({0: [0.1, 0.11, 0.1]}) == []

    def test_the_best_has_the_lowest_median_in_any_order(self) -> None:
        assert unsettled({3: [0.9, 0.9, 0.9], 1: [0.2, 0.1, 0.3], 2: [0.1, 0.3, 0.2]}) == [1, 2]

    def test_a_diverged_candidate_is_settled(self) -> None:
        assert unsettled({0: [0.1, None, 0.1], 1: [0.2, 0.3, 0.2], 2: [0.2, 0.2, 0.3]}) == [1, 2]
        assert unsettled({0: [0.1, None, 0.1], 1: [None, 0.3, 0.2]}) == []

    def test_a_settled_candidate_stays_settled(self) -> None:
        assert unsettled({0: [0.1, 0.2, 0.1, 0.2], 1: [0.2, 0.1, 0.2, 0.1], 2: [0.1, 0.1, 0.1]}) == [0, 1]


class TestAudits:
    LOST = tuple(trial(number, 0.5 + number / 100, status=PRUNED) for number in range(2, 12))
    DIVERGED = trial(12, None, status=PRUNED)
    SEARCHED = (trial(0, 0.1, 0.1), trial(1, 0.2, 0.2), *LOST, DIVERGED)

    @pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.1, 1), (0.11, 2), (0.5, 5), (1.0, 10)])
    def test_a_share_of_the_pruned_rounded_up_is_audited_and_none_that_diverged(self, share: float, count: int) -> None:
        found = [one.trial for one in missing_audits(Standings(state(*self.SEARCHED, audit=share)))]

        assert len(set(found)) == count
        assert set(found) <= {one.number for one in self.LOST}

    def test_they_are_drawn_by_the_seed_of_the_search(self) -> None:
        draws = {
            seed: [one.trial for one in missing_audits(Standings(state(*self.SEARCHED, audit=0.5, seed=seed)))]
            for seed in (0, 0, 1, 2, 3)
        }

        assert draws[0] == [one.trial for one in missing_audits(Standings(state(*self.SEARCHED, audit=0.5, seed=0)))]
        assert len({tuple(draw) for draw in draws.values()}) > 1
        assert len(set().union(*draws.values())) > 5  # by chance, not by rank

    def test_nothing_is_asked_twice(self) -> None:
        now = state(*self.SEARCHED, audit=0.3)
        asked = [one.trial for one in missing_audits(Standings(now))]

        now = replace(now, audits=(AuditView(trial=asked[0], finished=False, loss=None),))

        assert [one.trial for one in missing_audits(Standings(now))] == asked[1:]

    def test_they_come_before_the_confirmation_which_waits_for_them(self) -> None:
        now = state(*self.SEARCHED, audit=0.2)
        first, second = plan(now, capacity=9)
        assert isinstance(first, Audit)
        assert isinstance(second, Audit)
        assert first.reason == "audit: it was pruned, and 2 of 10 pruned trials show what that lost"

        done = tuple(AuditView(trial=one.trial, finished=True, loss=0.9) for one in (first, second))
        assert {type(one) for one in plan(replace(now, audits=done), capacity=9)} == {Confirm}

    def test_an_audited_trial_that_is_among_the_best_becomes_a_candidate(self) -> None:
        now = state(*self.SEARCHED, finalists=2)
        audits = (AuditView(trial=5, finished=True, loss=0.15), AuditView(trial=6, finished=True, loss=0.3))

        assert list(candidates(Standings(now))) == [0, 1]
        assert list(candidates(Standings(replace(now, audits=audits)))) == [0, 5]
        assert (
            candidates(Standings(replace(now, audits=audits)))[5]
            == "number 2 at the full horizon (validation loss 0.1500)"
        )

    def test_an_audit_that_diverged_changes_nothing(self) -> None:
        now = state(*self.SEARCHED, finalists=3)
        audits = (AuditView(trial=5, finished=True, loss=None),)

        assert list(candidates(Standings(replace(now, audits=audits)))) == [0, 1]


class TestCandidates:
    def test_the_best_then_the_measured_controls_then_the_runners_up(self) -> None:
        trials = (
            trial(0, 0.9, 0.9, control=Control.DEFAULT),
            trial(1, 0.8, 0.8, control=Control.CONSTANT),
            trial(2, 0.2, 0.2),
            trial(3, 0.1, 0.1),
        )

        assert list(candidates(Standings(state(*trials, controls=True, finalists=2)))) == [3, 1, 0, 2]
        assert list(candidates(Standings(state(*trials, controls=False, finalists=2)))) == [3, 2]

    def test_a_finalist_that_diverged_stays_and_the_next_best_with_a_lower_peak_joins(self) -> None:
        trials = [
            trial(number, 0.1 * number, 0.1 * (number + 1), peak=peak) for number, peak in enumerate((4, 5, 4, 3))
        ]
        now = state(*trials, finalists=1)

        assert list(candidates(Standings(now))) == [0]
        now = confirmed(now, {0: None})
        assert list(candidates(Standings(now))) == [0, 3]
        assert {one.trial for one in missing_confirmations(Standings(now))} == {3}

    def test_one_that_was_confirmed_before_another_diverged_remains(self) -> None:
        trials = [trial(number, 0.1 * number, 0.1 * (number + 1), peak=peak) for number, peak in enumerate((4, 5, 1))]
        now = confirmed(state(*trials, finalists=2), {0: None, 1: 0.2})

        assert list(candidates(Standings(now))) == [0, 1, 2]

    def test_without_a_trial_at_the_horizon_there_is_none(self) -> None:
        now = state(trial(0, 0.1, status=PRUNED))

        assert candidates(Standings(now)) == {}
        assert list(missing_confirmations(Standings(now))) == []


class TestConfirmations:
    def test_a_candidate_settled_after_three_seeds_gets_no_fourth(self) -> None:
        trials = [trial(0, 0.1, 0.1), trial(1, 0.2, 0.2), trial(2, 0.9, 0.9)]
        now = confirmed(state(*trials), {0: 0.1, 1: 0.1, 2: 0.9})
        assert Counter(run.trial for run in now.confirmations) == {0: SETTLING_SEEDS, 1: 3, 2: 3}

        for place in (4, 5):
            asked = list(missing_confirmations(Standings(now)))
            assert [one.trial for one in asked][:2] == [0, 1]
            assert {one.trial for one in asked} == {0, 1}
            assert asked[0].reason.endswith(f"fresh seed {place} of 5")
            now = confirmed(now, {0: 0.1, 1: 0.1})
        assert plan(now, capacity=9) == (
            Finish(reason="all 3 trials are decided and 3 of them confirmed on up to 5 fresh seeds"),
        )

    def test_a_fourth_seed_waits_for_all_results_on_the_third(self) -> None:
        now = confirmed(state(trial(0, 0.1, 0.1), trial(1, 0.2, 0.2)), {0: 0.1, 1: 0.1})
        *others, last = now.confirmations
        now = replace(now, confirmations=(*others, replace(last, finished=False, loss=None)))

        assert list(missing_confirmations(Standings(now))) == []
        assert plan(now, capacity=9) == ()

    def test_at_no_seeds_nothing_is_confirmed(self) -> None:
        assert plan(state(trial(0, 0.1, 0.1), confirm_seeds=0), capacity=9) == (
            Finish(reason="all 1 trial are decided; nothing was to be confirmed"),
        )

    def test_with_any_number_of_divergences_no_more_runs_are_made_than_planned(self) -> None:
        trials = [trial(number, 0.1, 0.1 * (number + 1), peak=1.0 / (number + 1)) for number in range(20)]
        now = state(*trials, finalists=2, confirm_seeds=5)
        while any(missing_confirmations(Standings(now))):
            now = confirmed(now, dict.fromkeys(range(20)))

        assert len(now.confirmations) == most_confirmations(now.settings) == 10
        assert isinstance(plan(now, capacity=1)[0], Finish)


@st.composite
def searches(draw: st.DrawFn) -> SearchSettings:
    settings = SearchSettings(
        total_steps=draw(st.integers(10, 1000)),
        trials=draw(st.integers(1, 25)),
        rungs=draw(st.none() | st.integers(1, 3)),
        keep=draw(st.floats(0.05, 1.0)),
        cohort=draw(st.integers(2, 15)),
        audit=draw(st.floats(0.0, 1.0)),
        controls=draw(st.booleans()),
        start=(Schedule(peak_lr=1e-3, family=Linear()),) * draw(st.integers(0, 1)),
        finalists=draw(st.integers(1, 4)),
        confirm_seeds=draw(st.integers(0, 6)),
        space=SPACE,
    )
    limit = draw(st.none() | st.integers(10, 30 * settings.total_steps))
    return settings.model_copy(update={"max_updates": limit})


@given(
    settings=searches(),
    chance=st.integers(0, 2**32),
    workers=st.integers(1, 8),
    diverging=st.sampled_from((0.0, 0.2, 0.7)),
)
def test_every_search_ends_with_its_audits_made_and_its_candidates_confirmed(
    settings: SearchSettings, chance: int, workers: int, diverging: float
) -> None:
    def loss(tried: Configuration, steps: int, seed: int) -> float | None:
        fate = random.Random(f"{chance} {tried.schedule.digest} {steps} {seed}")
        return None if fate.random() < diverging else fate.random()

    def ask(now: StudyState, decision: NewTrial) -> Configuration:
        rng = random.Random(f"{chance} {decision.number}")
        drawn = Schedule(peak_lr=1e-4 * 300 ** rng.random(), family=Linear())
        return Configuration(schedule=decision.schedule or drawn)

    result = simulate(settings, loss=loss, ask=ask, workers=workers)

    standings = Standings(result.state)
    asked = Counter((one.trial, one.rung, one.seed) for one in result.runs)
    assert set(asked.values()) <= {1}
    assert {one.trial for one in result.state.audits} <= {one.number for one in standings.pruned}
    assert len(rung_steps(settings)) > 1 or not result.state.audits
    order = [type(one) for one in result.decisions if isinstance(one, NewTrial | Promote | Audit | Confirm)]
    assert Audit not in order or not {NewTrial, Promote} & set(order[order.index(Audit) :])
    if settings.max_updates is None and isinstance(result.decisions[-1], Finish):
        assert list(missing_audits(standings)) == []
        assert list(missing_confirmations(standings)) == []
        assert bool(result.state.confirmations) is bool(settings.confirm_seeds)


def test_a_finalist_lies_well_below_the_peaks_that_diverged_where_another_does():
    """On the search's one seed 0.39 was stable and 0.48 diverged: on another seed 0.39 may diverge."""

    def tried(number: int, peak: float, loss: float | None) -> TrialView:
        return TrialView(
            number=number,
            cohort=0,
            control=None,
            status=TrialStatus.PRUNED if loss is None else TrialStatus.COMPLETED,
            schedule=Schedule(peak_lr=peak, family=Linear()),
            results=(RungResult(loss=loss),),
            running=False,
        )

    trials = (
        tried(0, 0.1, 0.12),
        tried(1, 0.25, 0.104),
        tried(2, 0.39, 0.1),
        tried(3, 0.48, None),
        tried(4, 0.6, None),
    )
    space = default_space(OptimizerKind.SGD, peak_lr=(0.002, 0.6))
    settings = SearchSettings(total_steps=1000, trials=5, controls=False, finalists=2, space=space)
    state = StudyState(settings=settings, trials=trials, confirmations=(), updates_committed=0)
    assert list(candidates(Standings(state))) == [1, 0]
    calm = replace(state, trials=trials[:3])
    assert list(candidates(Standings(calm))) == [2, 1]
