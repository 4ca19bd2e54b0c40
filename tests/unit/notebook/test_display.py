"""The live display of a study: what it shows, when it draws, and where it shows anything."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from tests.unit.jobs.test_progress import JOB
from tuner.errors import InvalidValue
from tuner.jobs.forecasts import BestTrial
from tuner.jobs.progress import JobStatus, Tally, progress
from tuner.jobs.states import JobState
from tuner.metric import Metric
from tuner.notebook.display import LiveDisplay, live_display, notebook_cell
from tuner.notebook.page import RunCurve, study_html, study_text
from tuner.report.plots.style import BLUE, GREY, ORANGE

BEST = BestTrial(trial=1, label="<cosine>", value=0.4, std=0.01, low=0.38, high=0.42, runs=1, margin=0.02)
CURVES = (
    RunCurve(trial=2, is_running=True, points=((10, 2.0), (20, 1.5))),
    RunCurve(trial=0, is_running=False, points=((10, 2.5), (20, 1e9))),
    RunCurve(trial=1, is_running=False, points=((10, 2.2), (20, 0.4))),
    RunCurve(trial=3, is_running=True, points=()),
)


def status(**changes: Any) -> JobStatus:
    job = replace(JOB, **{"state": JobState.RUNNING, "best": BEST, **changes})
    return JobStatus(job=job, progress=progress(job, tally=Tally(trials={}, runs=(), devices=0)))


class TestPage:
    def test_the_recommended_run_is_blue_above_the_others_and_the_one_that_trains_is_orange_above_all(self):
        html = study_html(status(), curves=CURVES)
        assert re.findall(r'stroke="(#[0-9a-f]{6})"', html) == [GREY, BLUE, ORANGE]
        assert html.count("<circle") == 1

    def test_a_run_that_explodes_leaves_the_scale_to_the_others(self):
        (low, high) = re.findall(r'text-anchor="end">([0-9.]+)</text>', study_html(status(), curves=CURVES))[:2][::-1]
        assert (float(low), float(high)) == (0.4, 2.2)

    def test_the_scale_of_a_maximized_metric_ends_at_its_best(self):
        metric = Metric(name="accuracy", direction="maximize", unit="%")
        curves = [RunCurve(trial=0, is_running=False, points=((1, 20.0), (2, 90.0)))]
        html = study_html(status(metric=metric), curves=curves)
        assert re.findall(r'text-anchor="end">([0-9.]+ %)</text>', html) == ["90.00 %", "20.00 %"]

    def test_without_evaluations_there_is_progress_and_no_chart(self):
        html = study_html(status(best=None), curves=[])
        assert "<progress" in html
        assert "<svg" not in html
        assert "Recommended" not in html

    def test_what_is_recommended_is_so_far_until_the_end_and_escaped(self):
        assert "Recommended so far: &lt;cosine&gt; (trial 1)" in study_html(status(), curves=CURVES)
        assert "Recommended: &lt;cosine&gt;" in study_html(status(state=JobState.COMPLETED), curves=CURVES)

    def test_a_front_end_without_html_gets_the_same_in_a_line(self):
        text = study_text(status(), note="Ended by KeyboardInterrupt")
        assert "\n" not in text
        assert "full runs. Recommended so far: <cosine> (trial 1), expected" in text
        assert text.endswith(". Ended by KeyboardInterrupt")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowStore:
    """A store whose reads take a while on the clock."""

    seconds: ClassVar[float] = 0.0

    def __init__(self, clock: Clock) -> None:
        self.jobs = SimpleNamespace(status=self._status)
        self.planning = SimpleNamespace(load=lambda _: SimpleNamespace(job=JOB, runs=()))
        self.forecasts = SimpleNamespace(losses=lambda _, points: {})
        self._clock = clock

    def _status(self, job_id: str) -> JobStatus:
        self._clock.now += self.seconds
        return status()


class TestRefresh:
    @pytest.mark.parametrize(("seconds", "pause"), [(0.0, 0.5), (0.01, 0.5), (0.1, 2.0)])
    def test_it_draws_twice_a_second_and_in_a_twentieth_of_the_time_at_most(self, monkeypatch, seconds, pause):
        monkeypatch.setattr(SlowStore, "seconds", seconds)
        clock, shown = Clock(), []
        display = LiveDisplay(SlowStore(clock), job_id="job", show=shown.append, clock=clock)  # type: ignore[arg-type]
        display.refresh()
        ended = clock.now
        clock.now = ended + pause - 1e-6
        display.refresh()
        assert len(shown) == 1
        clock.now = ended + pause
        display.refresh()
        assert len(shown) == 2

    def test_an_error_that_ends_the_study_is_named_below_its_last_state_and_passed_on(self):
        shown: list[Any] = []
        store: Any = SlowStore(Clock())

        def interrupted() -> None:
            with live_display(store, job_id="job", show=shown.append):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert "Ended by KeyboardInterrupt" in shown[-1]["text/html"]
        assert "Ended" not in shown[0]["text/html"]

    def test_the_last_state_is_drawn_however_soon_it_comes(self):
        shown: list[Any] = []
        store: Any = SlowStore(Clock())
        with live_display(store, job_id="job", show=shown.append):
            assert len(shown) == 1
        assert len(shown) == 2


class TestCell:
    def ipython(self, monkeypatch: pytest.MonkeyPatch, shell: Any) -> None:
        module: Any = ModuleType("IPython")
        module.get_ipython = lambda: shell
        monkeypatch.setitem(sys.modules, "IPython", module)

    def test_outside_of_a_notebook_nothing_is_shown(self, monkeypatch):
        assert notebook_cell(None) is None
        self.ipython(monkeypatch, None)
        assert notebook_cell(None) is None
        self.ipython(monkeypatch, SimpleNamespace())  # in a terminal
        assert notebook_cell(None) is None

    def test_in_a_kernel_it_is_shown_unless_it_is_not_wanted(self, monkeypatch):
        self.ipython(monkeypatch, SimpleNamespace(kernel=object()))
        assert notebook_cell(None) is not None
        assert notebook_cell(True) is not None
        assert notebook_cell(False) is None

    def test_a_display_without_a_notebook_is_refused(self):
        with pytest.raises(InvalidValue, match="live must be left out or False outside of a notebook, got True"):
            notebook_cell(True)
