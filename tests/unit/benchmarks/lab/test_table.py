"""Tables of recorded runs: what the reader refuses, and what a table says of its runs."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lab.table import RecordedTable, Row, read_table, write_table
from tuner.errors import InvalidValue
from tuner.schedules import Constant, Cosine, Schedule, Warmup

COSINE = Schedule(peak_lr=0.1, family=Cosine())
CONSTANT = Schedule(peak_lr=0.1, family=Constant())


def run(**changes: Any) -> dict[str, Any]:
    return {
        "schedule": json.loads(COSINE.to_json()),
        "steps": 30,
        "seed": 0,
        "curve": [[15, 0.5], [30, 0.25]],
        "loss": 0.25,
        "options": {},
        **changes,
    }


def row(**changes: Any) -> Row:
    return Row.model_validate(run(**changes))


def written(folder: Path, *lines: str) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": "many"}, "mine.jsonl, line 2: steps must be a whole number, got 'many'"),
        ({"steps": 0}, "mine.jsonl, line 2: steps must be at least 1, got 0"),
        ({"seed": -1}, "mine.jsonl, line 2: seed must be at least 0, got -1"),
        ({"loss": math.nan}, "mine.jsonl, line 2: loss must be a finite number, got nan"),
        ({"loss": "low"}, "mine.jsonl, line 2: loss must be a number, got 'low'"),
        ({"curve": [[15.5, 1.0]]}, "mine.jsonl, line 2: curve.0.0 must be a whole number, got 15.5"),
        ({"curve": [[15, 1.0], [10, 1.0]]}, "mine.jsonl, line 2: curve must be points with ascending steps"),
        ({"curve": [[31, 1.0]]}, "mine.jsonl, line 2: curve must be points within the run's 30 steps, got 31"),
        ({"schedul": 1}, "mine.jsonl, line 2: schedul must be absent, got 1"),
        (
            {"schedule": {"peak_lr": -1, "family": {"name": "cosine"}}},
            "mine.jsonl, line 2: schedule.peak_lr must be above 0, got -1",
        ),
    ],
)
def test_the_reader_names_file_line_field_value_and_what_is_allowed(
    tmp_path: Path, changes: dict[str, Any], message: str
):
    path = written(tmp_path, json.dumps(run()), json.dumps(run(**{"seed": 1, **changes})))
    with pytest.raises(InvalidValue) as refused:
        read_table(path)
    assert str(refused.value).startswith(message)


def test_a_line_without_a_loss_or_that_is_no_json_is_refused(tmp_path: Path):
    without = run()
    del without["loss"]
    for line, message in ((json.dumps(without), "loss must be given"), ('{"schedule"', "run must be valid JSON")):
        with pytest.raises(InvalidValue, match=f"line 1: {message}"):
            read_table(written(tmp_path, line))


def test_two_runs_of_one_configuration_length_and_seed_are_refused():
    with pytest.raises(InvalidValue, match="one per configuration, length and seed"):
        RecordedTable("mine", (row(), row(loss=0.3)))
    with pytest.raises(InvalidValue, match="at least one run"):
        RecordedTable("mine", ())


def test_what_is_written_is_read_again_with_five_digits_and_equal_rows_give_equal_bytes(tmp_path: Path):
    rows = [row(loss=0.123456789), row(seed=1, loss=None, curve=[[15, 2.0]]), row(options={"dropout": 0.5})]
    first, second = tmp_path / "one.jsonl.gz", tmp_path / "two.jsonl.gz"
    write_table(rows, path=first)
    write_table(rows, path=second)
    assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress(first.read_bytes()).count(b"\n") == 3
    table = read_table(first)
    assert table.name == "one"
    assert [one.loss for one in table.rows] == [0.12346, None, 0.25]
    assert [one.options for one in table.configurations] == [(), (("dropout", 0.5),)]


def test_candidates_are_what_was_trained_to_the_horizon():
    short = row(schedule=CONSTANT, steps=15, curve=[], loss=0.9)
    table = RecordedTable("mine", (row(), row(steps=15, curve=[], loss=0.5), short))
    assert table.horizon == 30
    assert table.lengths == (15, 30)
    assert [one.schedule for one in table.configurations] == [COSINE]
    assert table.seeds(short.configuration, steps=15) == (0,)
    assert table.seeds(short.configuration, steps=30) == ()
    assert table.run(short.configuration, steps=30, seed=0) is None


def test_the_true_loss_is_the_mean_over_seeds_and_infinite_when_one_diverged():
    rows = (row(seed=4, loss=0.2), row(seed=5, loss=0.4), row(seed=6, loss=None))
    table = RecordedTable("mine", rows)
    (one,) = table.configurations
    assert table.true_loss(one) == math.inf
    assert table.true_loss(one, except_seeds=(6,)) == pytest.approx(0.3)
    with pytest.raises(InvalidValue, match="a seed that is not left out"):
        table.true_loss(one, except_seeds=(4, 5, 6))


def test_an_oracle_counts_the_seeds_of_the_table_and_refuses_what_it_does_not_hold():
    table = RecordedTable("mine", (row(seed=7, loss=0.2), row(seed=9, loss=None), row(seed=9, steps=15, curve=[])))
    (one,) = table.configurations
    assert table.oracle(one, 30, 0) == (((15, 0.5), (30, 0.25)), 0.2)
    assert table.oracle(one, 30, 1)[1] is None
    assert table.replay((9, 7))(one, 30, 1)[1] == 0.2
    for steps, seed in ((30, 2), (30, -1), (15, 0), (20, 0)):  # at 15 steps, seed 0 of the table is not recorded
        with pytest.raises(InvalidValue, match="must be a recorded one"):
            table.oracle(one, steps, seed)


def test_the_usual_schedule_is_the_cosine_to_zero_at_the_middle_peak_with_five_percent_of_warmup():
    def cosine(peak: float, warmup: float, floor: float = 0.0) -> Row:
        shape = Warmup(shape="linear", fraction=warmup) if warmup else Warmup()
        schedule = Schedule(peak_lr=peak, family=Cosine(), warmup=shape, floor=floor)
        return Row(schedule=schedule, steps=100, seed=0, loss=1.0)

    rows = [cosine(peak, warmup) for peak in (1.0, 0.1, 0.01) for warmup in (0.0, 0.1, 0.04)]
    table = RecordedTable("mine", (*rows, cosine(0.1, 0.05, floor=0.1)))
    assert table.usual == cosine(0.1, 0.04).configuration
    assert RecordedTable("mine", (row(schedule=CONSTANT),)).usual is None
