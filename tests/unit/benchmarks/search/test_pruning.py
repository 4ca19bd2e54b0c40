"""The benchmark of stopping early: what is counted, and that the rivals decide as their names say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from benchmarks.search.pruners import PRUNERS, Check, Median, Ridge
from benchmarks.search.pruning import replayed, summary
from tests.unit.search.pruning.scaling_law import configuration, curve, study
from tuner.search.pruning.forecast import Curve


class StopsAll:
    """Stops every run at its tenth evaluation, with an interval that never covers."""

    asked: ClassVar[list[int]] = []

    def __init__(self, complete: Sequence[Curve], *, total_steps: int) -> None:
        self.asked.append(len(complete))

    def checks(self, run: Curve, *, leader: float) -> dict[int, Check]:
        return {run.points[9][0]: Check(stop=True, covers=False)}


def ending(run: Curve, loss: float) -> Curve:
    return replace(run, points=(*run.points[:-1], (run.total_steps, loss)))


def test_saved_steps_and_false_prunes_are_counted_once_three_runs_are_complete() -> None:
    runs = [ending(one, loss) for one, loss in zip(study(5), (3.0, 2.0, 4.0, 1.0, 5.0), strict=True)]
    row = replayed(runs, pruner=StopsAll)
    assert row["saved"] == pytest.approx(2 * 0.5)
    assert row["full_runs"] == 5.0
    assert row["stopped"] == 2
    assert row["false"] == 1  # the fourth, which was also the best of all
    assert row["best_stopped"]
    assert (row["intervals"], row["covered"]) == (2, 0)


def test_a_run_that_diverged_is_neither_stopped_nor_a_basis() -> None:
    whole = study(6)
    diverged = replace(whole[0], points=whole[0].points[:3])
    StopsAll.asked.clear()
    row = replayed([diverged, *whole[1:]], pruner=StopsAll)
    assert StopsAll.asked == [3, 3]
    assert row["full_runs"] == pytest.approx(5.0 + 3 / 20)


def test_the_median_pruner_stops_what_is_above_the_median_at_the_same_step() -> None:
    runs = [replace(one, points=tuple((step, level) for step, _ in one.points)) for level, one in enumerate(study(5))]
    pruner = Median(runs, total_steps=1000)
    assert all(check.stop for check in pruner.checks(runs[3], leader=0.0).values())
    assert not any(check.stop for check in pruner.checks(runs[2], leader=0.0).values())


def test_the_ridge_says_nothing_from_three_runs_and_stops_a_hopeless_run_from_twelve() -> None:
    hopeless = curve(configuration(0.0012), seed=50)
    complete = study(12)
    leader = min(one.points[-1][1] for one in complete)
    assert Ridge(complete[:3], total_steps=1000).checks(hopeless, leader=leader) == {}
    assert any(check.stop for check in Ridge(complete, total_steps=1000).checks(hopeless, leader=leader).values())


def test_every_side_of_the_split_has_a_line_of_all_its_tables() -> None:
    rows = [
        {"table": table, "study": 0, "runs_of": "some", "method": method, **replayed(study(4), pruner=pruner)}
        for table in ("digits-image", "half-diverging", "tiny-lm")
        for method, pruner in PRUNERS.items()
    ]
    lines = {(line["table"], line["method"]): line for line in summary(rows)}
    assert lines["all that it was tuned on", "forecast"]["studies"] == 2
    assert lines["all that it was claimed on", "forecast"]["studies"] == 1
    assert lines["tiny-lm", "median of the raw loss"]["coverage"] is None
