"""What one study of a replay may see of a table."""

from __future__ import annotations

import pytest

from benchmarks.lab.table import RecordedTable
from benchmarks.search.cases import EVALUATIONS, Case, case_of, incumbent_of, space_of, thinned
from benchmarks.search.ours import ours
from tests.unit.benchmarks.search.conftest import PEAKS, SEEDS, STEPS
from tuner.errors import InvalidValue
from tuner.schedules import Cosine, Linear, Schedule
from tuner.search.configuration import Configuration, values_of
from tuner.search.decision.seeds import run_seed


def test_the_incumbent_is_the_cosine_to_zero_at_the_middle_peak(table: RecordedTable) -> None:
    schedule = incumbent_of(table).schedule
    assert isinstance(schedule.family, Cosine)
    assert schedule.peak_lr == PEAKS[1]


def test_a_named_incumbent_must_be_of_the_table(table: RecordedTable) -> None:
    known = table.configurations[3].schedule
    assert incumbent_of(table, schedule=known).schedule == known
    with pytest.raises(InvalidValue, match="incumbent must be a schedule of the table"):
        incumbent_of(table, schedule=Schedule(peak_lr=5.0, family=Linear()))


@pytest.mark.parametrize("number", range(20))
def test_the_incumbent_is_always_a_candidate(table: RecordedTable, number: int) -> None:
    incumbent = incumbent_of(table)
    case = case_of(table, incumbent=incumbent, subset=0.5, number=number)
    assert incumbent in case.candidates
    assert len(case.candidates) == len(set(case.candidates)) == 6


def test_studies_differ_in_candidates_and_order_of_seeds_and_repeat_by_their_number(table: RecordedTable) -> None:
    cases = [case_of(table, incumbent=incumbent_of(table), subset=0.5, number=number) for number in range(20)]
    again = [case_of(table, incumbent=incumbent_of(table), subset=0.5, number=number) for number in range(20)]
    assert cases == again
    assert len({case.candidates for case in cases}) > 10
    assert len({case.seeds for case in cases}) > 10


def test_seeds_of_a_study_are_seeds_of_the_table_one_to_one(case: Case) -> None:
    one = case.candidates[0]
    first = run_seed(case.number, place=0)
    for place, seed in enumerate(case.seeds):
        row = case.table.run(one, steps=STEPS, seed=seed)
        assert row is not None
        assert case.oracle(one, STEPS, first + place)[1] == row.loss
    assert sorted(case.seeds) == list(range(SEEDS))


def test_no_study_is_offered_more_seeds_than_the_table_has(case: Case, one_seed: RecordedTable) -> None:
    assert case.settings(budget=3).seeds == SEEDS
    single = case_of(one_seed, incumbent=incumbent_of(one_seed), subset=1.0, number=0)
    assert single.settings(budget=3).seeds == 1


def test_on_one_seed_nothing_is_confirmed(one_seed: RecordedTable) -> None:
    case = case_of(one_seed, incumbent=incumbent_of(one_seed), subset=1.0, number=0)
    row = ours(case, budget=6)
    assert row["stops"]["runs"] == row["trials"]


def test_a_diverged_run_counts_as_the_worst_of_the_table(case: Case) -> None:
    worst = max(row.loss for row in case.table.rows if row.loss is not None)
    diverging = next(row.configuration for row in case.table.rows if row.loss is None)
    losses = [row.loss for row in case.table.rows if row.configuration == diverging]
    assert case.truth[diverging] == pytest.approx(sum(worst if loss is None else loss for loss in losses) / SEEDS)


def test_the_best_has_no_regret(case: Case) -> None:
    regrets = [case.regret(one) for one in case.candidates]
    assert min(regrets) == 0.0
    assert all(regret >= 0.0 for regret in regrets)


def test_the_space_of_a_table_contains_its_configurations(case: Case) -> None:
    settings = case.settings(budget=3)
    assert all(values_of(one, settings=settings) is not None for one in case.table.configurations)


def test_options_of_a_table_are_searched() -> None:
    schedule = Schedule(peak_lr=0.1, family=Linear())
    configurations = [Configuration(schedule=schedule, options=(("decay", value),)) for value in (0.1, 0.2)]
    assert space_of(configurations, total_steps=STEPS).peak_lr.low == 0.1


@pytest.mark.parametrize("count", [1, 7, 20, 21, 251])
def test_a_thinned_curve_keeps_its_end_and_ascends(count: int) -> None:
    curve = [(step, 1.0) for step in range(1, count + 1)]
    points = thinned(curve)
    assert len(points) == min(count, EVALUATIONS)
    assert points[-1] == curve[-1]
    assert points == sorted(set(points))
