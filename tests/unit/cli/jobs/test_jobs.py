from pathlib import Path
from typing import Any

import pytest

from tuner.cli.jobs.report import write_files


def test_the_files_written_are_named_one_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def write_report(_: Any, folder: Path) -> tuple[Path, ...]:
        return folder / "report.json", folder / "best-schedule.csv"

    monkeypatch.setattr("tuner.report.files.write_report", write_report)
    answer: Any = None
    write_files(answer, folder=Path("out"))
    assert capsys.readouterr().err == "Wrote to out:\n  report.json\n  best-schedule.csv\n"
