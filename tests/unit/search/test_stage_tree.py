"""Where runs part, against a trie that is written down node by node."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.schedules.strategies import cases, example
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.stage_tree import branch_points, likely_branch_points, prefix_key, shared_prefix, tree_size


@st.composite
def families_of_runs(draw) -> list[np.ndarray]:
    """Runs of real schedules; many share a prefix: other lengths, decays and copies of the same hold."""
    runs = [case.schedule.lrs(case.total_steps) for case in draw(st.lists(cases(most=40), min_size=1, max_size=3))]
    warmup = Warmup(shape="linear", updates=draw(st.integers(0, 6)))
    tails = st.one_of(
        st.just(Constant()), st.just(Linear()), st.builds(Wsd, cooldown=st.sampled_from([0.2, 0.4, 0.6, 1.0]))
    )
    for family, length in draw(st.lists(st.tuples(tails, st.integers(8, 40)), min_size=1, max_size=8)):
        runs.append(Schedule(peak_lr=0.1, family=family, warmup=warmup).lrs(length))
    return draw(st.permutations(runs))


def words(runs) -> list[list[bytes]]:
    return [[rate.tobytes() for rate in run] for run in runs]


def trie(runs) -> set[tuple[bytes, ...]]:
    """Every prefix of every run, as one node each."""
    return {tuple(word[:length]) for word in words(runs) for length in range(1, len(word) + 1)}


@given(families_of_runs())
@settings(max_examples=60)
def test_the_tree_has_as_many_updates_as_the_trie_has_nodes(runs) -> None:
    assert tree_size(runs) == len(trie(runs))


@given(families_of_runs())
@settings(max_examples=60)
def test_a_branch_point_is_the_last_common_node_of_two_runs(runs) -> None:
    own, *others = words(runs)
    expected = set()
    for other in others:
        shared = 0
        while shared < min(len(own), len(other)) and own[shared] == other[shared]:
            shared += 1
        expected.add(shared)
    found = branch_points(runs[0], others=runs[1:])
    assert found == tuple(sorted(expected - {0}))
    assert all(low < high for low, high in pairwise(found))


@given(families_of_runs())
@settings(max_examples=60)
def test_sharing_is_mutual_and_whole_with_oneself(runs) -> None:
    a, b = runs[0], runs[-1]
    assert shared_prefix(a, b) == shared_prefix(b, a)
    assert shared_prefix(a, a.copy()) == len(a)


def test_a_shorter_run_counts_at_its_end_and_a_longer_one_at_the_end_of_this() -> None:
    hold = Schedule(peak_lr=0.1, family=Constant())
    short, long = hold.lrs(30), hold.lrs(90)
    assert branch_points(long, others=[short]) == (30,)
    assert branch_points(short, others=[long]) == (30,)
    assert branch_points(short, others=[short.copy()]) == (30,)
    assert tree_size([short, long, short]) == 90


def test_without_other_runs_nothing_is_shared() -> None:
    assert branch_points(np.array([0.1]), others=[]) == ()
    assert branch_points(np.array([0.1]), others=[np.array([0.2])]) == ()
    assert tree_size([]) == 0


def test_rates_are_compared_by_their_bits() -> None:
    close = np.nextafter(0.1, 1.0)
    assert shared_prefix(np.array([0.1, 0.1, 0.1]), np.array([0.1, 0.1, close])) == 2
    assert shared_prefix(np.array([0.0]), np.array([-0.0])) == 0


@pytest.mark.parametrize("family", [Constant(), Linear(), Wsd(cooldown=0.4)])
def test_schedules_with_equal_warmups_have_one_prefix_key(family) -> None:
    warmup = Warmup(shape="linear", updates=10)
    hold = prefix_key(Schedule(peak_lr=0.1, family=Constant(), warmup=warmup), total_steps=100, seed=1)
    assert prefix_key(Schedule(peak_lr=0.1, family=family, warmup=warmup), total_steps=300, seed=1) == hold


def test_another_seed_peak_or_warmup_has_another_prefix_key() -> None:
    schedule = example("cosine")
    others = [
        prefix_key(schedule, total_steps=100, seed=2),
        prefix_key(schedule, total_steps=200, seed=1),  # its warm-up is a fraction of the run
        prefix_key(schedule.model_copy(update={"peak_lr": 0.03}), total_steps=100, seed=1),
        prefix_key(schedule.model_copy(update={"warmup": Warmup()}), total_steps=100, seed=1),
    ]
    assert len({prefix_key(schedule, total_steps=100, seed=1), *others}) == 5


@given(
    cooldowns=st.lists(st.integers(0, 9), min_size=2, max_size=6),
    total_steps=st.integers(40, 400),
    warmup=st.sampled_from((0.0, 0.02, 0.1)),
    shape=st.sampled_from(("linear", "1-sqrt")),
)
def test_runs_that_hold_one_peak_branch_where_a_state_is_stored(cooldowns, total_steps, warmup, shape):
    """With cooldowns of whole tenths, in any order and without knowing of each other; 0 is a constant rate."""

    def schedule(tenths: int) -> Schedule:
        family = Wsd(cooldown=tenths / 10, shape=shape) if tenths else Constant()
        rise = Warmup(shape="linear", fraction=warmup) if warmup else Warmup()
        return Schedule(peak_lr=0.1, family=family, warmup=rise)

    trained: list[Schedule] = []
    executed = 0
    for one in map(schedule, cooldowns):
        lrs = one.lrs(total_steps)
        states = [
            point
            for other in trained
            for point in (*likely_branch_points(other, total_steps=total_steps), total_steps)
            if shared_prefix(lrs, other.lrs(total_steps)) >= point
        ]
        executed += total_steps - max(states, default=0)
        trained.append(one)
    assert executed == tree_size([one.lrs(total_steps) for one in trained])


def test_a_schedule_without_a_hold_has_no_likely_branch_point():
    for family in (Linear(), Cosine()):
        assert likely_branch_points(Schedule(peak_lr=0.1, family=family), total_steps=1_000) == ()


def test_branch_points_of_a_long_run_take_a_moment():
    schedule = Schedule(peak_lr=0.1, family=Wsd(cooldown=0.35), warmup=Warmup(shape="linear", updates=1_000))
    points = likely_branch_points(schedule, total_steps=100_000_000)
    assert len(points) == 8
    assert points[-1] in range(65_000_000, 65_001_000)
