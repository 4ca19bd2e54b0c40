"""The pages of a report: every part is there, nothing runs or is loaded, and all text is escaped."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.unit.report.studies import SEEDS, STEPS, WSD, Stop, at, check, study, tried, typical
from tuner.report.build import build_report
from tuner.report.pages.formats import ReportFormat, rendered
from tuner.report.pages.html import html_page
from tuner.report.pages.markdown import fenced, markdown_page, plain, sentence
from tuner.report.plots.pictures import picture_png
from tuner.report.report import Report
from tuner.report.study_result import RunHistory
from tuner.report.terminal.page import render_text
from tuner.search.optuna.importances import Importance, Importances

HOSTILE = '<script>alert("x")</script> & [a](javascript:b) `c` |d| $\\bad{$'
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
def full() -> Report:
    """A report with every part, and names chosen to break a page."""
    result = typical()
    importances = Importances(
        trials=9,
        diverged=1,
        common=(Importance(name="peak_lr", share=0.9, above_chance=True),),
        families={"wsd": (Importance(name="wsd.cooldown", share=1.0, above_chance=False),)},
    )
    peaks = study(*(tried(at(WSD, peak), loss) for peak, loss in ((0.04, 0.31), (0.07, 0.29), (0.16, 0.285))))
    first = len(result.state.trials)
    trials = tuple(replace(trial, number=trial.number + first) for trial in peaks.state.trials)
    runs = tuple(replace(run, trial=run.trial + first) for run in peaks.state.runs)
    state = replace(result.state, trials=(*result.state.trials, *trials), runs=(*result.state.runs, *runs))
    audited = RunHistory(trial=first, seed=SEEDS[0], steps=STEPS, check=check(Stop(step=400, mean=0.31)), audited=True)
    return build_report(
        replace(
            result,
            job_name=HOSTILE,
            options={HOSTILE: HOSTILE},
            end_reason=HOSTILE,
            state=state,
            reasons=dict.fromkeys(range(first + len(trials)), HOSTILE),
            histories=(*result.histories, audited),
            importances=importances,
        )
    )


@pytest.fixture(scope="module")
def page(full) -> str:
    return html_page(full)


class TestHtml:
    def test_every_part_is_there(self, page):
        for heading in (
            "Next",
            "Compared with",
            "Advice",
            "The schedules",
            "Candidates: expected and measured",
            "How far the peak may be off",
            "What decided the result",
            "Learning curves, and what was stopped early",
            "If you train longer",
            "Cost",
            "In your training script",
            "All trials",
        ):
            assert f"<h2>{heading}</h2>" in page
        assert page.count("<svg ") == 6  # schedules, estimates, curves, sensitivity, importances of two groups

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
        assert page.count("<thead><tr><th ") == found.tags.count("table")

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
            "Next",
            "Compared with",
            "How far the peak may be off",
            "What decided the result",
            "Stopped early",
            "Cost",
        ):
            assert f"\n## {heading}\n" in text
        assert text.endswith("|\n")

    def test_what_people_named_is_shown_and_does_nothing(self, full):
        text = markdown_page(full)
        commands = r"`tuner (submit|schedule) [^`<>]*`"
        assert not re.search(r"(?<!\\)[<>`]", re.sub(commands, "", re.sub(r"(?s)```.*?```", "", text)))
        assert "&lt;script&gt;" in text
        assert r"\[a\](javascript:b)" in text

    def test_its_commands_are_code_and_name_the_job(self, full):
        text = markdown_page(full)
        assert f"`tuner schedule export --job {full.job_id}`" in text
        assert "JOB" not in text

    @pytest.mark.parametrize(
        ("text", "page"),
        [
            ("see `tuner submit  --from x`, *now*", r"see `tuner submit --from x`, \*now\*"),
            ("a lone ` and <b>", r"a lone \` and &lt;b&gt;"),
            ("`<b>` and ``", r"\`&lt;b&gt;\` and \`\`"),
        ],
    )
    def test_a_sentence_keeps_its_code_and_nothing_else(self, text, page):
        assert sentence(text) == page

    def test_every_line_of_a_table_has_as_many_cells_as_its_heading(self, full):
        columns = None
        for line in markdown_page(full).splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
            assert cells is None or columns is None or cells == columns
            columns = cells

    def test_text_of_many_lines_stays_on_one_and_fences_hold_fences(self):
        assert plain("a\n# b\n| c") == r"a \# b \| c"

    def test_html_is_spelt_with_entities_which_every_reader_knows(self):
        assert plain("a <script>alert(1)</script> &lt; 3") == "a &lt;script&gt;alert(1)&lt;/script&gt; &amp;lt; 3"
        assert fenced("```\nx", "python") == "````python\n```\nx\n````"


class TestFormats:
    def test_json_is_the_report(self, full):
        assert Report.model_validate_json(rendered(full, format=ReportFormat.JSON)) == full

    def test_a_name_with_dollars_can_be_written_on_a_picture(self, full):
        assert picture_png(full, name="curves").startswith(b"\x89PNG")

    def test_the_terminal_shows_the_parts_within_eighty_columns(self, full):
        text = render_text(full, width=80)
        assert max(map(len, text.splitlines())) <= 80
        for heading in ("How far the peak may be off", "What decided the result", "Stopped early", "Advice", "Next"):
            assert f"\n{heading}\n" in text
