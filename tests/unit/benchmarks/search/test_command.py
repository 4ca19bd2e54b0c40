"""`python -m benchmarks search --table FILE`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.search import main
from benchmarks.search.rivals.rivals import RIVALS


def replayed(table_file: Path, out: Path, *arguments: str) -> dict[str, object]:
    code = main(["--table", str(table_file), "--studies", "2", "--budgets", "1,3", "--json", str(out), *arguments])
    assert code == 0
    found: dict[str, object] = json.loads(out.read_text())
    return found


def test_equal_arguments_give_equal_numbers_with_any_number_of_processes(
    table_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = replayed(table_file, tmp_path / "one.json", "--workers", "1")
    two = replayed(table_file, tmp_path / "two.json", "--workers", "2")
    assert one == two
    printed = capsys.readouterr()
    assert "regret" in printed.out
    assert "2 of 2 studies" in printed.err
    rows = one["rows"]
    assert isinstance(rows, list)
    assert {row["method"] for row in rows} == {"ours", *RIVALS, "16 random schedules"}
    assert {row["study"] for row in rows} == {0, 1}
    assert all(row["cost"] <= row["budget"] + 1e-9 for row in rows if "cost" in row)


def test_ours_alone_is_replayed_on_request(table_file: Path, tmp_path: Path) -> None:
    rows = replayed(table_file, tmp_path / "out.json", "--no-rivals", "--workers", "1")["rows"]
    assert isinstance(rows, list)
    assert {row["method"] for row in rows} == {"ours", "16 random schedules"}


def test_an_incumbent_outside_the_table_is_refused(
    table_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    incumbent = tmp_path / "mine.json"
    incumbent.write_text('{"peak_lr": 7.0, "family": {"name": "cosine"}}')
    assert main(["--table", str(table_file), "--incumbent", str(incumbent)]) == 2
    assert "incumbent must be a schedule of the table" in capsys.readouterr().err


def test_a_table_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--table", "no-such-table"]) == 2
    assert "table must be a file, or one of" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--subset", "0"], ["--studies", "0"], ["--budgets", "0.5"], ["--budgets", "nan"]])
def test_numbers_that_mean_nothing_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--table", "any", *wrong])
