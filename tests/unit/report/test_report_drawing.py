from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.report.terminal.chart import draw_schedule
from tuner.schedules import Constant, Cosine, Cyclic, Linear, Schedule, Step, Updates, Warmup, Wsd

SCHEDULES = (
    Schedule(peak_lr=1e-3, family=Constant()),
    Schedule(peak_lr=0.3, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.1)),
    Schedule(peak_lr=7e-5, family=Wsd(cooldown=0.5), floor=0.1),
    Schedule(peak_lr=12.0, family=Linear()),
)

LINEAR = """\
1.00e+00 +***
         |  *****
         |      *****
         |           ****
5.00e-01 +               *****
         |                   *****
         |                       *****
         |                            ****
       0 +                                **
         ++-------+-------+--------+-------+
 updates  0      25      50       75     100"""

STAIRS = """\
1.00e-01 +******************
         |                  *
         |                  *
         |                  *
5.00e-02 +                  *
         |                  *
         |                  ******************
         |
       0 +
         ++--------+--------+-------+--------+
 updates  0        2        4       6        8"""


def test_a_linear_descent_in_ascii():
    schedule = Schedule(peak_lr=1.0, family=Linear())
    assert draw_schedule(schedule, total_steps=100, width=44, height=9, ascii_only=True) == LINEAR


def test_a_step_is_drawn_upright():
    schedule = Schedule(peak_lr=0.1, family=Step(every=Updates(updates=4), gamma=0.25))
    assert draw_schedule(schedule, total_steps=8, width=46, height=9, ascii_only=True) == STAIRS


@settings(deadline=None)
@given(
    st.sampled_from(SCHEDULES),
    st.integers(10, 2_000),
    st.integers(0, 150),
    st.integers(0, 40),
    st.booleans(),
    st.booleans(),
)
def test_a_drawing_keeps_to_its_size(schedule, total_steps, width, height, log, ascii_only):
    drawing = draw_schedule(
        schedule, total_steps=total_steps, width=width, height=height, log=log, ascii_only=ascii_only
    )
    lines = drawing.split("\n")
    assert len(lines) == max(height, 3) + 2
    assert max(map(len, lines)) <= max(width, 30)
    assert drawing.isascii() or not ascii_only
    assert lines[-1].split()[0] == "updates"
    assert lines[-1].split()[-1] == f"{total_steps:,}"


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_constant_rate_is_a_line_along_the_top(ascii_only):
    top, *rest = draw_schedule(SCHEDULES[0], total_steps=50, width=60, height=5, ascii_only=ascii_only).split("\n")
    assert top.startswith("1.00e-03")
    assert len(top) == 60
    assert set(top[10:]) == ({"*"} if ascii_only else {"⠉"})
    assert all(len(line) == 10 for line in rest[:4])


def test_the_log_axis_spans_four_decades_below_the_peak():
    drawing = draw_schedule(Schedule(peak_lr=0.1, family=Linear()), total_steps=1_000, height=9, log=True)
    labels = [line[:8].strip() for line in drawing.split("\n")[:9]]
    assert labels == ["1.00e-01", "", "", "", "1.00e-03", "", "", "", "1.00e-05"]


def test_cycles_shorter_than_a_column_fill_their_height():
    schedule = Schedule(peak_lr=0.1, family=Cyclic(cycles=1_000), floor=0.1)
    lines = draw_schedule(schedule, total_steps=20_000, width=60, height=6).split("\n")
    assert all(set(line[10:]) == {"⣿"} for line in lines[1:5])


def test_a_horizon_of_a_hundred_million_updates_is_drawn_from_a_sample():
    assert "100,000,000" in draw_schedule(SCHEDULES[1], total_steps=100_000_000)
