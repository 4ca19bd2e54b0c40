from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.schedules import Linear, Schedule
from tuner.search.decision.controls import control_count, control_of
from tuner.search.decision.decisions import Control
from tuner.search.settings import SearchSettings

DEFAULT, CONSTANT = Control.DEFAULT, Control.CONSTANT
START = tuple(Schedule(peak_lr=peak, family=Linear()) for peak in (1e-3, 2e-3))


def groups(**changes: object) -> dict[int, Control]:
    """The groups of a search's trials, without those that are free."""
    settings = SearchSettings.model_validate({"total_steps": 900, **changes})
    found = {number: control_of(number, settings=settings) for number in range(settings.trials)}
    return {number: control for number, control in found.items() if control is not None}


def test_a_study_has_three_constant_rates_and_two_defaults_half_of_them_once_the_peaks_are_known() -> None:
    assert groups(trials=100) == {0: DEFAULT, 1: CONSTANT, 5: CONSTANT, 7: DEFAULT, 9: CONSTANT}


@pytest.mark.parametrize(
    ("trials", "count"), [(1, 1), (2, 2), (8, 2), (9, 3), (11, 3), (12, 4), (14, 4), (15, 5), (1000, 5)]
)
def test_beyond_one_of_each_two_thirds_of_the_trials_are_free(trials: int, count: int) -> None:
    assert len(groups(trials=trials)) == count
    assert control_count(SearchSettings(total_steps=900, trials=trials)) == count


def test_start_schedules_come_first_and_shift_the_others() -> None:
    assert groups(trials=20, start=START) == {
        0: Control.START,
        1: Control.START,
        2: DEFAULT,
        3: CONSTANT,
        7: CONSTANT,
        9: DEFAULT,
        11: CONSTANT,
    }


def test_without_controls_all_but_the_start_schedules_are_free() -> None:
    assert groups(trials=20, start=START, controls=False) == {0: Control.START, 1: Control.START}


@given(trials=st.integers(1, 60), start=st.integers(0, 2), controls=st.booleans())
def test_the_count_is_that_of_the_measured_groups(trials: int, start: int, controls: bool) -> None:
    search = {"trials": trials, "start": START[:start], "controls": controls}
    measured = [control for control in groups(**search).values() if control is not Control.START]

    assert control_count(SearchSettings.model_validate({"total_steps": 900, **search})) == len(measured)
    assert len(measured) <= max(2, trials / 3)
