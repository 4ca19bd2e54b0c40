"""What benchmarks/data/README.md says of the tables."""

from __future__ import annotations

import pytest

from benchmarks.lab.facts import facts_of, facts_table
from benchmarks.lab.files import DATA, load_table
from benchmarks.lab.table import RecordedTable, Row
from tuner.schedules import Constant, Cosine, Schedule, Warmup


def test_the_page_has_the_facts_of_the_committed_tables():
    page = (DATA / "README.md").read_text()
    assert page.split("<!-- facts -->\n\n")[1].split("\n\n<!-- end of facts -->")[0] == "\n".join(facts_table())


def test_noise_is_the_spread_over_seeds_and_common_the_share_that_schedules_have_alike():
    def rows(peak: float, losses: list[float]) -> list[Row]:
        schedule = Schedule(peak_lr=peak, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.05))
        return [Row(schedule=schedule, steps=100, seed=seed, loss=loss) for seed, loss in enumerate(losses)]

    alike = RecordedTable("alike", (*rows(0.1, [1.0, 1.2, 1.4]), *rows(0.2, [2.0, 2.2, 2.4])))
    facts = facts_of(alike)
    assert facts.noise == pytest.approx(0.2)
    assert facts.common == pytest.approx(1.0)
    assert facts.best.schedule.peak_lr == 0.1
    opposed = RecordedTable("opposed", (*rows(0.1, [1.0, 1.2]), *rows(0.2, [2.2, 2.0])))
    assert facts_of(opposed).common == pytest.approx(0.0)


def test_gaps_are_to_the_usual_schedule_the_best_constant_and_the_best_without_warmup():
    def row(loss: float, family: Cosine | Constant, warmup: float) -> Row:
        shape = Warmup(shape="linear", fraction=warmup) if warmup else Warmup()
        return Row(schedule=Schedule(peak_lr=0.1, family=family, warmup=shape), steps=100, seed=0, loss=loss)

    rows = (row(1.1, Cosine(), 0.05), row(1.0, Cosine(), 0.1), row(1.5, Constant(), 0.05), row(1.7, Constant(), 0.0))
    facts = facts_of(RecordedTable("mine", rows))
    assert facts.gaps == pytest.approx((0.1, 0.5, 0.7))
    assert (facts.noise, facts.common, facts.diverge) == (None, None, 0)


def test_the_tables_are_what_they_are_for():
    constant, warmup, half = map(load_table, ("constant-best", "warmup-matters", "half-diverging"))
    assert facts_of(constant).gaps[1] == 0.0
    assert facts_of(warmup).gaps[2] > 0.3
    stable = {one.schedule.peak_lr for one in half.configurations if half.true_loss(one) < float("inf")}
    assert len(stable) / len({one.schedule.peak_lr for one in half.configurations}) == pytest.approx(0.5, abs=0.1)
