from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tuner.report.build import build_report
from tuner.report.report import Report, Verdict
from tuner.report.study_result import StudyResult, TrialResult
from tuner.report.terminal.page import render, render_text
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Control, TrialStatus

FAMILIES = (Constant(), Cosine(), Linear(), Wsd(cooldown=0.3), Wsd(shape="linear"))
SEEDS = (11, 12, 13, 14)
# Multiples of 1/1024 below 8: sums and differences of a few of them are exact, and ties are common.
LOSS = st.one_of(st.none(), st.integers(1, 8_191).map(lambda n: n / 1024))


@st.composite
def study_results(draw) -> StudyResult:
    count = draw(st.integers(1, 6))
    trials, confirmations = [], {}
    for number in range(count):
        rungs = draw(st.lists(LOSS, max_size=3))
        trials.append(
            TrialResult(
                number=number,
                control=draw(st.sampled_from([None, Control.CONSTANT, Control.DEFAULT, Control.START])),
                configuration=Configuration(
                    schedule=Schedule(
                        peak_lr=draw(st.sampled_from([0.001, 0.01, 0.1])),
                        family=draw(st.sampled_from(FAMILIES)),
                        warmup=draw(st.sampled_from([Warmup(), Warmup(shape="linear", fraction=0.1)])),
                    )
                ),
                status=TrialStatus.COMPLETED if len(rungs) == 3 else TrialStatus.PRUNED,
                losses=tuple(rungs),
                reason="drawn",
            )
        )
        confirmations[number] = draw(st.dictionaries(st.sampled_from(SEEDS), LOSS, max_size=4))
    if not any(confirmations.values()):
        confirmations[0] = {11: draw(LOSS)}
    return StudyResult(
        job_id="job",
        job_name="",
        workload="drawn",
        options={},
        total_steps=90,
        rung_steps=(10, 30, 90),
        trials=tuple(trials),
        confirmations=confirmations,
        updates_spent=1_000,
        updates_saved=0,
        confirm_updates=400,
        why_ended="drawn",
    )


def rescaled(result: StudyResult, factor: float) -> StudyResult:
    def scaled(loss: float | None) -> float | None:
        return None if loss is None else loss * factor

    return replace(
        result,
        trials=tuple(replace(trial, losses=tuple(map(scaled, trial.losses))) for trial in result.trials),
        confirmations={
            number: {seed: scaled(loss) for seed, loss in losses.items()}
            for number, losses in result.confirmations.items()
        },
    )


@settings(max_examples=50, deadline=None)
@given(study_results(), st.randoms(use_true_random=False))
def test_the_order_of_trials_and_seeds_is_irrelevant(result, random):
    trials = list(result.trials)
    random.shuffle(trials)
    numbers = list(result.confirmations)
    random.shuffle(numbers)
    shuffled = {}
    for number in numbers:
        seeds = list(result.confirmations[number])
        random.shuffle(seeds)
        shuffled[number] = {seed: result.confirmations[number][seed] for seed in seeds}
    assert build_report(replace(result, trials=tuple(trials), confirmations=shuffled)) == build_report(result)


@settings(max_examples=50, deadline=None)
@given(study_results())
def test_every_report_comes_back_equal_from_its_json(result):
    report = build_report(result)
    assert Report.model_validate_json(report.model_dump_json()) == report


@settings(max_examples=50, deadline=None)
@given(study_results())
def test_the_equivalents_start_with_the_best_and_include_the_recommended(result):
    report = build_report(result)
    members = [member.trial for member in report.equivalents.members]
    assert members[0] == report.best.trial == report.candidates[0].trial
    assert report.recommended.trial == report.equivalents.recommended
    assert report.recommended.trial in members
    assert all(member.verdict is Verdict.TIED and member.seeds >= 2 for member in report.equivalents.members[1:])
    assert len(members) == 1 or not any(report.candidate(trial).diverged for trial in members)


@settings(max_examples=50, deadline=None)
@given(study_results())
def test_no_candidate_without_divergence_ranks_after_one_with(result):
    diverged = [candidate.diverged > 0 for candidate in build_report(result).candidates]
    assert diverged == sorted(diverged)


@settings(max_examples=50, deadline=None)
@given(study_results())
def test_intervals_contain_their_means_and_wins_are_among_the_seeds(result):
    report = build_report(result)
    for comparison in (report.best_constant, report.default, *report.equivalents.members):
        if comparison is None:
            continue
        assert 0 <= comparison.wins <= comparison.seeds
        gain = comparison.gain
        if gain is not None and gain.low is not None and gain.high is not None:
            assert gain.low <= gain.mean <= gain.high


@settings(max_examples=50, deadline=None)
@given(study_results())
def test_a_schedule_helps_only_where_it_beats_a_constant_rate(result):
    report = build_report(result)
    beats = report.best_constant is not None and report.best_constant.verdict is Verdict.BETTER
    assert report.schedule_helps is beats
    assert report.finding.startswith("A schedule helps") is beats


@settings(max_examples=50, deadline=None)
@given(study_results(), st.sampled_from([0.125, 0.5, 4.0, 1024.0]))
def test_the_unit_of_the_loss_changes_no_verdict(result, factor):
    report, scaled = build_report(result), build_report(rescaled(result, factor))
    assert [candidate.trial for candidate in scaled.candidates] == [candidate.trial for candidate in report.candidates]
    assert scaled.recommended.trial == report.recommended.trial
    for ours, theirs in ((report.best_constant, scaled.best_constant), (report.default, scaled.default)):
        assert (ours is None) == (theirs is None)
        if ours is None or theirs is None:
            continue
        assert (ours.verdict, ours.wins) == (theirs.verdict, theirs.wins)
        if ours.gain is not None and theirs.gain is not None:
            assert theirs.gain.mean == pytest.approx(ours.gain.mean * factor)
            assert theirs.gain.percent == pytest.approx(ours.gain.percent)


@settings(max_examples=40, deadline=None)
@given(study_results(), st.integers(80, 130), st.booleans())
def test_every_report_fits_its_terminal(result, width, ascii_only):
    text = render_text(build_report(result), width=width, ascii_only=ascii_only)
    assert max(map(len, text.splitlines())) <= width
    assert text.isascii() or not ascii_only


def test_colour_changes_no_character_of_the_answer(report):
    screen = io.StringIO()
    coloured = Console(file=screen, width=80, color_system="truecolor", force_terminal=True, record=True)
    coloured.print(render(report))
    assert "\x1b[" in screen.getvalue()
    stripped = "".join(f"{line.rstrip()}\n" for line in coloured.export_text().splitlines())
    assert stripped == render_text(report, width=80)
