"""The report on a terminal."""

from __future__ import annotations

import math
import subprocess
import sys

from tests.unit.report.studies import DEFAULT, WSD, Stop, at, study, tried
from tuner.report.build import build_report
from tuner.report.report import Rival
from tuner.report.terminal.page import render_text
from tuner.search.decision.decisions import Role


def squeezed(text: str) -> str:
    """The words of a text, however its lines break."""
    return " ".join(text.replace("│", " ").split())


def test_it_has_verdict_recommendation_comparisons_stops_cost_and_code_and_ends_with_what_to_do(report):
    text = squeezed(render_text(report, width=110))
    expected = report.recommended.expected
    for part in (
        "digits: digits-mlp, 900 updates, 11 trials",
        "It helps: wsd 1-sqrt cooldown 40 %, peak 1.0e-01, warm-up 5 % has a lower validation loss than",
        f"expected validation loss {expected:.4f} (95 % interval",
        "measured 0.2824 in the mean of 5 seeds",
        "the usual default +0.0",
        "the best constant rate without warm-up +0.0",
        "A change is worth it from a gain of 0.004 on: what 5 % more steps would gain.",
        "1 run was stopped early",
        "- trial 5 at update 300: forecast 0.4000 (95 % interval 0.3980 to 0.4020), chance 0.01 % to beat 0.2800 by",
        "22.6 of 30 full runs: 20,300 updates. Saved: 600 by stopping runs early. 2 of 25 runs diverged, after 200",
        "scheduler = ScheduleLR(optimizer, schedule, total_steps=900)",
    ):
        assert part in text
    last = squeezed(" ".join(f"- {sentence}" for sentence in report.next_steps))
    assert text.endswith(f"Next {last}")


def test_no_two_lines_in_a_row_are_empty_before_the_code(report):
    for shown in (report, build_report(study(tried(WSD, 0.3)))):
        assert "\n\n\n" not in render_text(shown).partition("In your training script")[0]


def test_a_report_of_one_run_claims_nothing():
    text = squeezed(render_text(build_report(study(tried(WSD, 0.3), budget=1))))
    assert "Nothing was compared: one schedule was trained" in text
    assert "One run reached the end, on one seed: nothing could be confirmed." in text
    assert text.count("not trained to the end") == 3
    assert "inf" not in text.replace("information", "").split()


def test_a_recommended_schedule_that_diverged_on_a_seed_is_said_to_have():
    text = squeezed(render_text(build_report(study(tried(WSD, 0.3, None)))))
    assert "measured diverged on 1 of 2 seeds" not in text
    assert "diverged on 1 of 2 seeds" in text


def test_gains_have_the_decimals_that_their_interval_supports(report):
    gain = report.comparison(Rival.INCUMBENT).gain
    decimals = 1 - math.floor(math.log10((gain.high - gain.low) / 2))
    line = next(one for one in render_text(report, width=110).splitlines() if "the usual default  " in one)
    assert f"{gain.mean:+.{decimals}f} ({gain.percent:.1f} %)" in line


def test_square_brackets_in_a_name_are_not_taken_for_markup(report):
    assert "[red]run[/red]" in render_text(report.model_copy(update={"job_name": "[red]run[/red]"}))


def test_a_label_goes_on_after_a_comma_alone(report):
    lines = render_text(report, width=80).splitlines()
    assert any(line.strip().startswith("cosine, peak 5.0e-02,") for line in lines)
    assert not any(line.rstrip().endswith(" peak") for line in lines)


def test_of_many_stopped_runs_the_first_are_listed():
    stops = [tried(at(WSD, 0.02 * 1.3**n), Stop(step=300, mean=0.5)) for n in range(7)]
    text = squeezed(render_text(build_report(study(tried(DEFAULT, 0.3, role=Role.INCUMBENT), *stops)), width=140))
    assert text.count("at update 300") == 5
    assert "- and 2 more" in text


def test_an_unsettled_comparison_shows_what_it_would_cost_to_know():
    losses = (0.30, 0.32, 0.28)
    found = build_report(study(tried(DEFAULT, *losses, role=Role.INCUMBENT), tried(WSD, 0.29, 0.33, 0.27)))
    text = squeezed(render_text(found))
    assert "not settled" in text
    assert "further full runs" in text


def test_showing_a_report_loads_neither_torch_nor_scipy_nor_matplotlib():
    code = """
import sys
import tuner.report.report, tuner.report.terminal.page, tuner.exports
loaded = {"torch", "scipy", "matplotlib", "optuna", "sqlalchemy"} & set(sys.modules)
sys.exit(f"loaded {sorted(loaded)}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
