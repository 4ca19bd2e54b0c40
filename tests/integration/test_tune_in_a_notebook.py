"""tune() as a kernel of Jupyter calls it: what it shows is the study, and changes nothing of it."""

from __future__ import annotations

import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import tuner
from tests.integration.test_tune import Broken, NoisyQuadratic, answer
from tuner.errors import InvalidValue

SEARCH = {"budget": 3, "seed": 7}


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What the output of a cell has held, the present content last; further outputs would be an error."""
    held: list[dict[str, str]] = []

    def display(bundle: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert not held
        held.append(bundle)
        return SimpleNamespace(update=lambda later, raw: held.append(later))

    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    ipython.display = ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return held


def test_one_output_shows_every_run_and_the_report_is_the_same(cell: list[dict[str, str]]):
    shown = tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu")
    assert cell[-1]["text/html"].count("<polyline") == len(shown.curves) > 1
    assert f"Recommended: {shown.recommended.label}" in cell[-1]["text/plain"]
    content = list(cell)
    assert answer(tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", live=False)) == answer(shown)
    assert cell == content


def test_an_interrupted_study_keeps_its_last_state_and_says_what_ended_it(cell: list[dict[str, str]]):
    def interrupt(progress: tuner.Progress) -> None:
        if progress.trials.opened == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", on_progress=interrupt)
    assert "Ended by KeyboardInterrupt" in cell[-1]["text/html"]
    assert re.search(r"<b>noisy-quadratic</b>, 90 updates: running, 2 trials", cell[-1]["text/html"])


def test_a_study_that_fails_says_so(cell: list[dict[str, str]]):
    with pytest.raises(tuner.StudyFailed):
        tuner.tune(Broken(), search=SEARCH, device="cpu")
    assert ": failed, " in cell[-1]["text/html"]
    assert "Ended by StudyFailed" in cell[-1]["text/html"]


def test_outside_of_a_notebook_a_display_is_refused_before_anything_trains():
    with pytest.raises(InvalidValue, match="live must be left out or False outside of a notebook, got True"):
        tuner.tune(Broken(), search=SEARCH, device="cpu", live=True)
