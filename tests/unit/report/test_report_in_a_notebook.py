"""A report as a notebook shows it: in short, and its pictures as figures."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tuner.errors import InvalidValue
from tuner.report.plots.pictures import PICTURES
from tuner.report.report import Report


class Tags(HTMLParser):
    """The names of the open elements at the end, and of all."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        if tag not in ("br", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)


def test_it_says_the_verdict_the_recommended_schedule_the_comparisons_and_the_code(report: Report):
    shown = report._repr_html_()
    text = re.sub(r"<[^>]*>", "", shown)
    assert report.recommended.label in text
    assert all(comparison.name in text for comparison in report.comparisons)
    assert "TOTAL_STEPS" in text or "total_steps" in text
    assert shown.count("<svg") == 2


def test_every_element_is_closed_and_none_reaches_beyond_its_cell(report: Report):
    tags = Tags(report._repr_html_())
    assert tags.open == []
    assert not {"script", "style", "link", "iframe", "img"} & tags.names


def test_what_people_wrote_is_escaped(report: Report):
    comparisons = [one.model_copy(update={"name": "<script>x</script>"}) for one in report.comparisons]
    shown = report.model_copy(update={"comparisons": tuple(comparisons), "finding": "<b>&"})._repr_html_()
    assert "<script" not in shown
    assert "&lt;b&gt;&amp;" in shown


def test_two_reports_in_one_notebook_share_no_name_of_a_part(report: Report):
    other = report.model_copy(update={"job_id": "another-job"})
    names = [set(re.findall(r' id="([^"]+)"', one._repr_html_())) for one in (report, other)]
    assert names[0]
    assert not names[0] & names[1]


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_is_a_figure_that_shows_itself(report: Report, picture: str):
    figure: Any = report.plot(picture)
    assert figure.get_suptitle().endswith(report.job_name or report.workload)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_picture_by_default_is_that_of_the_schedules(report: Report):
    assert report.plot().get_suptitle() == report.plot("schedules").get_suptitle()


def test_another_picture_is_refused_with_those_that_there_are(report: Report):
    with pytest.raises(InvalidValue, match="picture must be one of schedules, estimates, curves, got 'losses'"):
        report.plot("losses")
