from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tuner.report.build import build_report
from tuner.report.pages.formats import ReportFormat, rendered
from tuner.report.pages.html import html_page
from tuner.report.pages.markdown import fenced, markdown_page, plain
from tuner.report.plots.pictures import picture_png
from tuner.report.report import Report
from tuner.report.terminal.page import render_text
from tuner.search.optuna.importances import Importance, Importances

HOSTILE = '<script>alert("x")</script> & [a](javascript:b) `c` |d| $\\bad{$'
VERSION_1 = Path(__file__).parent / "report_version_1.json"
FORMER = {"linear", "wsd"}
"""Groups of controls that version 1 had."""
VOID = {"meta", "use", "path", "br"}


class Page(HTMLParser):
    """What a page holds, and whether every element is closed where it must be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.ids = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def full(studies) -> Report:
    """A report with every part, and names that somebody chose with care."""
    result = studies.typical()
    importances = Importances(
        rung=0,
        trials=9,
        diverged=1,
        common=(Importance(name="peak_lr", share=0.9, above_chance=True),),
        families={"wsd": (Importance(name="wsd.cooldown", share=1.0, above_chance=False),)},
    )
    trials = [
        *(replace(trial, reason=HOSTILE) for trial in result.trials),
        *(
            studies.trial(n, studies.linear.model_copy(update={"peak_lr": peak}), 0.6, 0.4, loss)
            for n, peak, loss in ((20, 0.02, 0.31), (21, 0.08, 0.30), (22, 0.1, 0.32))
        ),
    ]
    return build_report(
        replace(
            result,
            job_name=HOSTILE,
            options={HOSTILE: HOSTILE},
            why_ended=HOSTILE,
            trials=tuple(trials),
            audits={5: 0.27, 6: None},
            importances=importances,
        )
    )


@pytest.fixture(scope="module")
def page(full) -> str:
    return html_page(full)


class TestHtml:
    def test_every_part_is_there(self, page):
        for heading in (
            "Advice",
            "The schedules",
            "Candidates, against the best",
            "The equivalents: statistical ties with the best",
            "How far the peak may be off",
            "What decided the result",
            "The search, rung by rung",
            "What pruning lost",
            "Cost",
            "In your training script",
            "All trials",
        ):
            assert f"<h2>{heading}</h2>" in page
        assert page.count("<svg ") == 6  # schedules, confirmations, rungs, one sensitivity, importances of two groups

    def test_it_is_well_formed_and_no_id_is_given_twice(self, page):
        ids = Page(page).ids
        assert len(set(ids)) == len(ids)

    def test_it_loads_nothing_and_runs_nothing(self, page):
        found = Page(page)
        assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(found.tags)
        for name, value in found.attributes:
            assert not name.startswith("on")
            if name in ("href", "xlink:href", "src"):
                assert value.startswith("#")
        assert not re.search(r"url\((?!#)", page)
        (policy,) = (value for name, value in found.attributes if name == "content" and "default-src" in value)
        assert policy.startswith("default-src 'none'")

    def test_what_people_named_is_shown_and_does_nothing(self, page, full):
        assert "<script" not in page
        assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in page

    def test_every_picture_says_what_it_shows_and_every_table_has_headers(self, page):
        found = Page(page)
        labels = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', page)
        assert len(labels) == found.tags.count("svg")
        assert page.count('<th scope="col">trial</th>') == found.tags.count("table")

    def test_every_reference_within_a_picture_leads_somewhere(self, page):
        ids = set(Page(page).ids)
        assert set(re.findall(r'(?:xlink:)?href="#([^"]+)"', page)) <= ids
        assert set(re.findall(r"url\(#([^)]+)\)", page)) <= ids

    def test_equal_reports_give_equal_pages(self, page, full):
        assert html_page(full) == page


class TestMarkdown:
    def test_every_part_is_there(self, full):
        text = markdown_page(full)
        for heading in (
            "Advice",
            "How far the peak may be off",
            "What decided the result",
            "What pruning lost",
            "Cost",
        ):
            assert f"\n## {heading}\n" in text
        assert text.endswith("|\n")

    def test_what_people_named_is_shown_and_does_nothing(self, full):
        text = markdown_page(full)
        assert not re.search(r"(?<!\\)[<>`]", re.sub(r"(?s)```.*?```", "", text))
        assert r"\<script\>" in text
        assert r"\[a\](javascript:b)" in text

    def test_every_line_of_a_table_has_as_many_cells_as_its_heading(self, full):
        columns = None
        for line in markdown_page(full).splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
            assert cells is None or columns is None or cells == columns
            columns = cells

    def test_text_of_many_lines_stays_on_one_and_fences_hold_fences(self):
        assert plain("a\n# b\n| c") == r"a \# b \| c"
        assert fenced("```\nx", "python") == "````python\n```\nx\n````"


class TestFormats:
    def test_json_is_the_report(self, full):
        assert Report.model_validate_json(rendered(full, format=ReportFormat.JSON)) == full

    def test_a_name_with_dollars_can_be_written_on_a_picture(self, full):
        assert picture_png(full, name="rungs").startswith(b"\x89PNG")

    def test_the_terminal_shows_the_parts_within_eighty_columns(self, full):
        text = render_text(full, width=80)
        assert max(map(len, text.splitlines())) <= 80
        for heading in ("How far the peak may be off", "What decided the result", "What pruning lost", "Advice"):
            assert f"\n{heading}\n" in text


class TestVersion1:
    def test_a_stored_report_of_version_1_is_read_and_shown_without_what_it_lacks(self):
        report = Report.model_validate(json.loads(VERSION_1.read_text()))
        assert report.version == 1
        assert (report.sensitivities, report.importances, report.audit, report.advice) == (None, None, None, None)
        assert report.cost.updates_saved == 0
        groups = {trial["control"] for trial in json.loads(VERSION_1.read_text())["trials"]}
        assert {trial.control for trial in report.trials} == {None if one in FORMER else one for one in groups}
        assert groups & FORMER == FORMER
        for text in (html_page(report), markdown_page(report), render_text(report)):
            assert report.best.label.split(",")[0] in text
            assert "What pruning lost" not in text
            assert "How far the peak may be off" not in text

    def test_a_group_of_controls_that_never_was_is_refused(self):
        stored = json.loads(VERSION_1.read_text())
        with pytest.raises(ValueError, match="control"):
            Report.model_validate(stored | {"best": stored["best"] | {"control": "cosine"}})

    def test_a_new_report_is_of_version_2(self, full):
        assert full.version == 2

    def test_a_report_of_an_unknown_version_is_refused(self):
        with pytest.raises(ValueError, match="version"):
            Report.model_validate(json.loads(VERSION_1.read_text()) | {"version": 3})
