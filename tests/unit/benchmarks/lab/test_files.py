"""The committed tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.lab.designs import designs
from benchmarks.lab.files import DATA, load_table, table_names
from benchmarks.lab.making import runs
from benchmarks.lab.split import CLAIMED_ON, TUNED_ON
from tuner.errors import InvalidValue

LIMIT = 5_000_000


def test_all_data_together_has_at_most_five_megabytes():
    assert sum(path.stat().st_size for path in DATA.iterdir()) <= LIMIT


@pytest.mark.parametrize("name", designs())
def test_a_committed_table_has_exactly_the_runs_of_its_design(name: str):
    assert [(row.schedule, row.steps, row.seed) for row in load_table(name).rows] == list(runs(designs()[name]))


def test_every_workload_of_a_table_is_on_one_side_of_the_split():
    sides = {*TUNED_ON, *CLAIMED_ON}
    assert not {*TUNED_ON} & {*CLAIMED_ON}
    assert {name.removesuffix("-lengths").removesuffix("-long") for name in table_names()} <= sides


def test_a_name_that_is_no_table_is_refused_with_the_names_that_are():
    with pytest.raises(InvalidValue, match=r"a file, or one of .*noisy-classification-a"):
        load_table("noisy")


def test_the_recorded_language_model_reads_like_any_table():
    table = load_table(DATA / "llama124m_slimpajama.csv.gz")
    best = min(table.configurations, key=table.true_loss)
    assert len(table.configurations) == 41
    assert table.lengths == (15_000, 25_000, 35_000, 50_000)
    assert table.all_seeds == (0,)
    assert best.label == "wsd linear cooldown 60 %, peak 2.0e-03, warm-up 300 updates"
    assert table.true_loss(best) == 2.9513
    assert table.usual is not None
    assert table.usual.schedule.peak_lr == 1e-3
    (curve, loss) = table.oracle(table.constants[0], 25_000, 0)
    assert curve[-1] == (25_000, loss)


def test_a_table_is_found_by_its_path_as_well(tmp_path: Path):
    copy = tmp_path / "copy.jsonl.gz"
    copy.write_bytes((DATA / "digits-image.jsonl.gz").read_bytes())
    assert load_table(copy).rows == load_table("digits-image").rows
