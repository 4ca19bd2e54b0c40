"""What holds of the report of any study."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.unit.report.studies import SEEDS, STEPS, WARMUP, Stop, check, study, tried
from tuner.report.build import build_report
from tuner.report.pages.html import html_page
from tuner.report.pages.markdown import markdown_page
from tuner.report.report import Report, Rival, Verdict
from tuner.report.study_result import RunHistory, StudyResult
from tuner.report.terminal.page import render, render_text
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.decision.decisions import Role, RunStatus

FAMILIES = (Constant(), Cosine(), Linear(), Wsd(cooldown=0.3), Wsd(shape="linear"))
LOSS = st.floats(0.1, 3.0)
RESULT = st.one_of(LOSS, LOSS, LOSS, st.none(), st.builds(Stop, step=st.integers(10, STEPS - 1), mean=LOSS))


@st.composite
def study_results(draw) -> StudyResult:
    trials = []
    for number in range(draw(st.integers(1, 6))):
        schedule = Schedule(
            peak_lr=draw(st.sampled_from([0.001, 0.01, 0.1, 1.0])),
            family=draw(st.sampled_from(FAMILIES)),
            warmup=draw(st.sampled_from([Warmup(), WARMUP])),
        )
        results = draw(st.lists(RESULT, max_size=len(SEEDS)))
        role = Role.INCUMBENT if number == 0 and draw(st.booleans()) else None
        trials.append(tried(schedule, *results, role=role))
    if not any(isinstance(one, float) for trial in trials for one in trial.results):
        trials.append(tried(Schedule(peak_lr=0.03, family=Cosine()), draw(LOSS)))
    result = study(*trials, margin=draw(st.sampled_from([None, 0.01])), budget=draw(st.sampled_from([1.0, 10.0])))
    return result if draw(st.booleans()) else audited(result)


def audited(result: StudyResult) -> StudyResult:
    """The study with its first finished run audited."""
    run = next(run for run in result.state.runs if run.status is RunStatus.FINISHED)
    history = RunHistory(
        trial=run.trial, seed=run.seed, steps=STEPS, check=check(Stop(step=90, mean=1.0)), audited=True
    )
    return replace(result, histories=(*result.histories, history))


@settings(deadline=None, max_examples=40)
@given(study_results())
def test_a_report_is_complete_and_comes_back_equal_from_its_json(result):
    report = build_report(result)
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert [one.rival for one in report.comparisons] == list(Rival)
    assert len(report.trials) == len(result.state.trials)
    assert report.recommended in report.candidates
    finished = {run.trial for run in result.state.runs if run.status is RunStatus.FINISHED}
    assert {one.trial for one in report.candidates} == finished


@settings(deadline=None, max_examples=40)
@given(study_results())
def test_an_incumbent_is_never_replaced_by_what_is_expected_to_be_worse(result):
    report = build_report(result)
    incumbent = report.incumbent
    if incumbent is not None and incumbent.expected is not None and report.recommended.expected is not None:
        assert report.recommended.expected <= incumbent.expected + 1e-12


@settings(deadline=None, max_examples=40)
@given(study_results())
def test_what_is_claimed_is_what_the_intervals_show(result):
    report = build_report(result)
    for one in report.comparisons:
        if one.gain is None:
            assert one.verdict is not Verdict.DOES_NOT_HELP
            assert one.worth_it is None
            continue
        assert one.gain.low <= one.gain.mean <= one.gain.high
        if one.verdict is Verdict.HELPS:
            assert one.gain.low > 0.0
        if one.verdict is Verdict.DOES_NOT_HELP:
            assert one.gain.high < report.margin.value
        assert one.worth_it is (one.gain.mean >= report.margin.value)
        assert one.best != one.trial
    if report.reusable is not None:
        assert report.reusable.trial != report.recommended.trial


@settings(deadline=None, max_examples=25)
@given(study_results(), st.randoms(use_true_random=False))
def test_the_order_of_histories_is_irrelevant(result, random):
    histories = list(result.histories)
    random.shuffle(histories)
    assert build_report(replace(result, histories=tuple(histories))) == build_report(result)


@settings(deadline=None, max_examples=25)
@given(study_results(), st.sampled_from([1e-3, 1e3]))
def test_the_unit_of_the_loss_changes_no_verdict(result, factor):
    runs = tuple(
        run if run.loss is None else replace(run, loss=run.loss * factor, std=run.std * factor)
        for run in result.state.runs
    )
    margin = result.state.margin
    state = replace(result.state, runs=runs, margin=None if margin is None else margin * factor)
    one, other = build_report(result), build_report(replace(result, state=state))
    assert [c.trial for c in one.candidates] == [c.trial for c in other.candidates]
    for ours, theirs in zip(one.comparisons, other.comparisons, strict=True):
        if ours.gain is None or min(abs(ours.gain.low), abs(ours.gain.high - one.margin.value)) < 1e-9:
            continue
        assert ours.verdict is theirs.verdict
        assert theirs.gain.mean == pytest.approx(factor * ours.gain.mean, rel=1e-4, abs=1e-9 * factor)


@settings(deadline=None, max_examples=25)
@given(study_results(), st.integers(80, 140), st.booleans())
def test_every_report_fits_its_terminal_and_shows_no_number_that_is_none(result, width, ascii_only):
    text = render_text(build_report(result), width=width, ascii_only=ascii_only)
    assert max(map(len, text.splitlines())) <= width
    assert not {"inf", "nan", "None", "-inf"} & set(text.replace(",", " ").replace("(", " ").split())


@settings(deadline=None, max_examples=4)
@given(study_results())
def test_the_pages_of_every_report_can_be_made(result):
    report = build_report(result)
    for page in (html_page(report), markdown_page(report)):
        assert report.recommended.label.split(",")[0] in page


def test_colour_changes_no_character_of_the_report(report):
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system="truecolor", legacy_windows=False)
    console.print(render(report))
    without_codes = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    shown = "\n".join(line.rstrip() for line in without_codes.splitlines())
    assert shown.strip() == render_text(report, width=100).strip()


def test_finite_numbers_alone_are_in_a_report_of_one_run():
    report = build_report(study(tried(Schedule(peak_lr=0.1, family=Cosine()), 0.3), budget=1))
    numbers = [report.margin.value, report.margin.noise, report.recommended.expected, report.recommended.low]
    assert all(number is not None and math.isfinite(number) for number in numbers)
