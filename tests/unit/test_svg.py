"""Line charts as SVG: well-formed for any text and values, everything inside the frame, equal for equal arguments."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from tuner.svg import Axis, Line, line_chart

SVG = "{http://www.w3.org/2000/svg}"
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
VALUES = st.floats(-1e12, 1e12)


def points_of(drawing: str) -> list[list[tuple[float, ...]]]:
    return [
        [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        for line in ElementTree.fromstring(drawing).iter(f"{SVG}polyline")
    ]


@given(
    ys=st.lists(VALUES, min_size=1, max_size=20), low=VALUES, span=st.floats(1e-3, 1e12), text=TEXTS, log=st.booleans()
)
def test_it_is_well_formed_for_any_text_and_every_point_lies_inside_the_frame(ys, low, span, text, log):
    low = abs(low) + 1e-3 if log else low
    x = Axis(low=0, high=max(len(ys) - 1, 1), labels=("0", text))
    y = Axis(low=low, high=low + span + abs(low) * 1e-6, labels=("", text), is_log=log)
    drawing = line_chart([Line(xs=range(len(ys)), ys=ys, colour="#123456", has_end=True)], x=x, y=y, title=text)
    root = ElementTree.fromstring(drawing)
    assert root.find(f"{SVG}title").text in (text, None)
    (line,) = points_of(drawing)
    assert len(line) == len(ys)
    assert all(70 <= across <= 628 and 28 <= down <= 206 for across, down in line)
    end = root.find(f"{SVG}circle")
    assert (float(end.attrib["cx"]), float(end.attrib["cy"])) == line[-1]


def test_higher_values_are_drawn_higher_and_a_log_axis_gives_each_decade_the_same_room():
    x = Axis(low=0, high=2, labels=("0", "2"))
    y = Axis(low=0.01, high=1.0, labels=("0.01", "1"), is_log=True)
    drawing = line_chart([Line(xs=[0, 1, 2], ys=[0.01, 0.1, 1.0], colour="red")], x=x, y=y, title="")
    assert points_of(drawing) == [[(70.0, 206.0), (349.0, 117.0), (628.0, 28.0)]]


def test_equal_arguments_give_equal_text():
    def drawn() -> str:
        axis = Axis(low=0, high=1, labels=("0", "1"))
        return line_chart([Line(xs=[0, 1], ys=[0, 1], colour="red")], x=axis, y=axis, title="one")

    assert drawn() == drawn()
