"""What the rows of studies say, and how it is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.search.measures import certainty, recommendation, stopping, summary
from benchmarks.search.overview import fill, overview
from benchmarks.search.tables import markdown, replay_tables
from tuner.errors import InvalidValue


def row(true: float, **changes: Any) -> dict[str, Any]:
    return {
        "study": 0,
        "method": "ours",
        "budget": 3.0,
        "cost": 2.5,
        "true": true,
        "incumbent": 1.0,
        "best": 0.8,
        "margin": 0.05,
        "pairs": [3, 4],
        "verdicts": [],
        "stops": {"runs": 4, "stopped": 1, "trained": 3.5, "saved": 0.5, "false": 0, "best_asked_stopped": False},
        **changes,
    }


def test_harm_is_a_true_loss_above_the_incumbents() -> None:
    found = recommendation([row(0.9), row(1.0), row(1.04), row(1.2)])
    assert found["harmed"] == 0.5
    assert found["harm"] == pytest.approx((0.04 + 0.2) / 2)
    assert found["regret"] == pytest.approx((0.1 + 0.2 + 0.24 + 0.4) / 4)
    assert found["gain"] == pytest.approx(1.0 - (0.9 + 1.0 + 1.04 + 1.2) / 4)
    assert certainty([row(0.9), row(1.04), row(1.2), row(1.2)])["harmed_by_more_than_the_margin"] == 0.5


def test_studies_without_a_result_are_counted_apart() -> None:
    without = {"study": 1, "method": "ASHA", "budget": 3.0, "incumbent": 1.0, "best": 0.8}
    found = recommendation([row(0.9), without])
    assert found["with_result"] == 0.5
    assert found["regret"] == pytest.approx(0.1)


def test_coverage_is_over_all_pairs_of_all_studies() -> None:
    found = certainty([row(0.9, pairs=[3, 4]), row(0.9, pairs=[6, 6])])
    assert found["coverage"] == 0.9
    assert found["pairs"] == 10


def test_verdicts_are_counted_by_rival_with_the_wrong_ones() -> None:
    helps = {"rival": "incumbent", "verdict": "helps", "wrong": False}
    wrong = {"rival": "incumbent", "verdict": "does not help", "wrong": True}
    verdicts = certainty([row(0.9, verdicts=[helps]), row(0.9, verdicts=[wrong, helps])])["verdicts"]
    assert verdicts["incumbent"]["helps"] == {"said": 2, "wrong": 0}
    assert verdicts["incumbent"]["does not help"] == {"said": 1, "wrong": 1}
    assert verdicts["incumbent"]["not settled"] == {"said": 0, "wrong": 0}


def test_saved_steps_are_a_share_of_what_would_have_been_trained() -> None:
    found = stopping([row(0.9), row(0.9)])
    assert found["saved"] == pytest.approx(1.0 / 8.0)
    assert found["stopped"] == 2
    assert found["false"] == 0.0


def test_the_tables_have_a_line_for_each_method() -> None:
    rival = {**row(1.1), "method": "random"}
    del rival["margin"], rival["stops"]
    text = "\n".join(replay_tables(summary([row(0.9), rival], ours="ours")))
    assert "| ours   | 100.00 [100.0]" in text
    assert "| random | 300.00 [300.0]" in text
    assert "| random | 100% (100.00)" in text


def test_columns_of_a_table_are_aligned() -> None:
    lines = list(markdown(["a", "long head"], [["long cell", "b"]]))
    assert len({len(line) for line in lines}) == 1


def test_figures_are_written_between_the_comments_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- replay -->\nold\n<!-- end of replay -->\nafter\n")
    fill(page, block="replay", lines=["| new |", ""])
    assert page.read_text() == "before\n<!-- replay -->\n\n| new |\n\n<!-- end of replay -->\nafter\n"
    with pytest.raises(InvalidValue, match="end of options"):
        fill(page, block="options", lines=[])


def test_all_tables_are_shown_at_a_glance_by_the_side_of_the_split() -> None:
    tables = {name: summary([row(0.9)], ours="ours") for name in ("noisy-classification-a", "tiny-lm")}
    text = "\n".join(overview(tables))
    assert text.index("tuned on") < text.index("noisy-classification-a") < text.index("claimed on")
    assert text.index("claimed on") < text.index("tiny-lm")
    assert "| ours   | 100" in text
