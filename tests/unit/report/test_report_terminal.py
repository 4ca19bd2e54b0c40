from __future__ import annotations

import subprocess
import sys

from tuner.report.build import build_report
from tuner.report.terminal.page import render_text
from tuner.schedules import Schedule, Wsd
from tuner.search.decision.decisions import Control


def squeezed(text: str) -> str:
    """The words of a text, whatever its line breaks."""
    return " ".join(text.replace("│", " ").split())


def test_the_report_has_the_best_the_gains_the_equivalents_the_cost_and_the_code(report):
    text = squeezed(render_text(report, width=110))
    for part in (
        "digits: digits-mlp, 900 updates, 9 trials",
        "A schedule helps here",
        "validation loss 0.2890 (median of 5 fresh seeds, 0.2800 to 0.3010)",
        "in the search, on one seed: 0.2790",
        "best constant rate 0.3520 +0.0616 (17.5 %) better",
        "+0.0579 to +0.0653 5 of 5 seeds",
        "the default 0.3060 +0.0156 (5.1 %) better",
        "-> recommended, the cheapest to reuse: before its cooldown it is a constant rate",
        "training all 9 trials in full would have taken 8,100 (74 %). Confirmation took 18,000 more.",
        "Recommended: wsd 1-sqrt cooldown 40 %, peak 1.0e-01, warm-up 5 %",
        "scheduler = ScheduleLR(optimizer, schedule, total_steps=900)",
    ):
        assert part in text


def test_a_report_without_any_confirmation_claims_nothing(studies):
    trials = [
        studies.trial(0, studies.constant, 0.6, 0.5, 0.4, control=Control.CONSTANT),
        studies.trial(1, studies.wsd, 0.6, 0.5, 0.3),
    ]
    text = squeezed(render_text(build_report(studies.result(trials, {}, confirm_updates=0))))
    assert "Whether a schedule helps cannot be said" in text
    assert "Nothing was confirmed" in text
    assert "the default not trained to the end" in text


def test_diverged_confirmations_are_shown_as_such(studies):
    trials = [
        studies.trial(0, studies.constant, 0.6, 0.5, 0.2, control=Control.CONSTANT),
        studies.trial(1, studies.linear, 0.6, 0.5, 0.4),
    ]
    confirmations = {0: studies.confirmed(0.2, None, None), 1: studies.confirmed(0.4, 0.4, 0.4)}
    text = squeezed(render_text(build_report(studies.result(trials, confirmations))))
    assert "diverged 2x" in text
    assert "None: no other candidate is within noise of the best." in text


def test_gains_have_the_decimals_that_their_interval_is_worth(studies):
    trials = [
        studies.trial(0, studies.constant, 60.0, 50.0, 40.0, control=Control.CONSTANT),
        studies.trial(1, studies.wsd, 60.0, 50.0, 30.0),
    ]
    confirmations = {0: studies.confirmed(4100.0, 4000.0, 4050.0), 1: studies.confirmed(3000.0, 3100.0, 2900.0)}
    text = render_text(build_report(studies.result(trials, confirmations)))
    assert "+1050 (25.9 %)" in text
    assert "4050 " in text


def test_square_brackets_in_a_name_are_not_taken_for_markup(studies):
    trial = studies.trial(0, Schedule(peak_lr=0.1, family=Wsd()), 0.5, 0.4, 0.3)
    report = build_report(studies.result([trial], {})).model_copy(update={"job_name": "[red]run[/red]"})
    assert "[red]run[/red]" in render_text(report)


def test_a_label_goes_on_after_a_comma_alone(report):
    text = render_text(report, width=80)
    assert "wsd 1-sqrt cooldown 40 %,  " in text
    assert "peak 1.0e-01, warm-up 5 %  " in text


def test_showing_a_report_loads_neither_torch_nor_scipy_nor_matplotlib():
    code = """
import sys
import tuner.report.report, tuner.report.terminal.page, tuner.exports
loaded = {"torch", "scipy", "matplotlib", "optuna", "sqlalchemy"} & set(sys.modules)
sys.exit(f"loaded {sorted(loaded)}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
