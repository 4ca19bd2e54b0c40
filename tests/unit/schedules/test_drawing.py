"""A schedule as a picture: what a page draws of one run, and what a notebook shows of a schedule alone."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given

from tests.unit.schedules.strategies import Case, cases
from tuner.errors import InvalidValue
from tuner.schedules import Cosine, Linear, Schedule, Warmup

SCHEDULE = Schedule(peak_lr=0.25, family=Linear(), warmup=Warmup(shape="linear", fraction=0.1))


def heights(drawing: str) -> list[float]:
    """Of the line above the axis, as fractions of the frame's height."""
    (points,) = re.findall(r'<polyline points="([^"]*)"', drawing)
    return [(206.0 - float(point.split(",")[1])) / (206.0 - 28.0) for point in points.split()]


@given(case=cases())
def test_every_schedule_is_drawn_with_the_rates_that_it_has(case: Case):
    drawing = case.schedule.to_svg(case.total_steps)
    assert ElementTree.fromstring(drawing)[0].text.startswith(case.schedule.label)
    lrs = case.schedule.lrs(case.total_steps)
    if len(lrs) <= 400:
        top = lrs.max() or 1.0
        assert heights(drawing) == pytest.approx(lrs / top, abs=0.05 / 178 + 1e-9)


def test_a_run_of_any_length_is_drawn_in_per_cent_and_one_of_a_schedule_in_updates_in_updates():
    assert "100 % of the run" in SCHEDULE._repr_svg_()
    in_updates = SCHEDULE.model_copy(update={"warmup": Warmup(shape="linear", updates=500)})
    assert "1,000 updates" in in_updates._repr_svg_()
    long = SCHEDULE.model_copy(update={"warmup": Warmup(shape="linear", updates=5_000)})
    assert "10,000 updates" in long._repr_svg_()


def test_a_schedule_for_runs_of_more_than_a_million_updates_alone_shows_its_text():
    warmup = Warmup(shape="linear", updates=3_000_000)
    assert Schedule(peak_lr=0.1, family=Cosine(), warmup=warmup)._repr_svg_() is None


@pytest.mark.parametrize("total_steps", [0, -1, 1.5, True])
def test_no_run_is_no_picture(total_steps):
    with pytest.raises(InvalidValue, match="total_steps must be a whole number of at least 1"):
        SCHEDULE.to_svg(total_steps)
