from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Finish, NewTrial, StudyState, TrialStatus
from tuner.search.settings import SearchSettings
from tuner.search.simulate import RunFailed, simulate
from tuner.search.space import SearchSpace

Ask = Callable[[StudyState, NewTrial], Configuration]


@pytest.fixture
def settings(space: SearchSpace) -> SearchSettings:
    return SearchSettings(total_steps=900, rungs=3, trials=24, finalists=2, confirm_seeds=2, space=space)


def peak(configuration: Configuration, steps: int, seed: int) -> float:
    return configuration.schedule.peak_lr


def test_one_worker_is_never_idle_and_its_time_is_its_updates(
    settings: SearchSettings, random_ask: Callable[[int], Ask]
) -> None:
    result = simulate(settings, loss=peak, ask=random_ask(0), workers=1)

    assert result.idle == 0
    assert result.duration == result.updates == sum(run.steps for run in result.runs)
    assert isinstance(result.decisions[-1], Finish)


def test_more_workers_are_faster_and_never_share_a_device(
    settings: SearchSettings, random_ask: Callable[[int], Ask]
) -> None:
    slow = simulate(settings, loss=peak, ask=random_ask(0), workers=1)
    fast = simulate(settings, loss=peak, ask=random_ask(0), workers=8)

    assert fast.duration < slow.duration / 3
    for device in range(8):
        spans = sorted((run.started, run.finished) for run in fast.runs if run.device == device)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_the_winner_is_the_best_over_fresh_seeds_not_in_the_search(space: SearchSpace) -> None:
    settings = SearchSettings(total_steps=900, trials=2, keep=1.0, finalists=2, confirm_seeds=3, seed=0, space=space)

    def lucky(configuration: Configuration, steps: int, seed: int) -> float:
        constant = configuration.schedule.family.name == "constant"
        return float(constant) if seed == 0 else float(not constant)

    result = simulate(settings, loss=lucky, workers=1)

    assert result.winner is not None
    assert result.winner.schedule is not None
    assert result.winner.schedule.family.name == "constant"


def test_a_workload_that_always_fails_has_no_winner(settings: SearchSettings, random_ask: Callable[[int], Ask]) -> None:
    def broken(configuration: Configuration, steps: int, seed: int) -> float:
        raise RunFailed

    result = simulate(settings, loss=broken, ask=random_ask(0), workers=2)

    assert result.winner is None
    assert {trial.status for trial in result.state.trials} == {TrialStatus.FAILED}
    assert len(result.state.trials) <= 4
