"""A schedule that follows the loss on the command line: previewed on a recorded curve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner.cli.main import app
from tuner.report.terminal.chart import draw_schedule
from tuner.schedules import ReduceOnPlateau, Schedule

FLAGS = ("--family", "reduce_on_plateau", "--param", "patience=1", "--param", "factor=0.5", "--total-steps", "500")
SCHEDULE = Schedule(peak_lr=0.01, family=ReduceOnPlateau(patience=1, factor=0.5))
LOSSES = ((100, 0.9), (200, 0.5), (300, 0.5), (400, 0.6))


def preview(*arguments: str):
    return CliRunner().invoke(app, ["schedule", "preview", *FLAGS, *arguments])


@pytest.fixture(params=["csv", "reports", "accuracies"])
def curve(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    """The options of a recorded curve."""
    file = tmp_path / "curve"
    if request.param == "csv":
        file.write_text("lr, update, val_loss\n" + "".join(f"0.1, {step}, {loss}\n" for step, loss in LOSSES))
        return "--losses", str(file)
    sign = -1 if request.param == "accuracies" else 1
    lines = [json.dumps({"step": step, "value": sign * loss, "train_loss": None}) for step, loss in LOSSES]
    file.write_text("\n".join(lines))
    return "--losses", str(file), *(["--maximized"] if sign < 0 else [])


def test_it_is_drawn_with_the_rates_of_a_recorded_curve(curve: tuple[str, ...]):
    result = preview(*curve)
    assert result.exit_code == 0, result.stderr
    drawn = draw_schedule(SCHEDULE, total_steps=500, width=80, height=13, losses=LOSSES)
    assert drawn in "\n".join(line.rstrip() for line in result.stdout.splitlines())
    assert result.stderr == ""


def test_the_points_are_those_of_the_library(curve: tuple[str, ...]):
    found = json.loads(preview(*curve, "--json").stdout)
    rates = SCHEDULE.lrs(500, losses=LOSSES)
    assert found["points"] == [[update, rates[update]] for update in range(0, 500, 3)]
    assert found["points"][-1][1] == 0.005


def test_without_a_curve_it_says_what_is_drawn():
    result = preview()
    assert "drawn as if every evaluation improved. --losses FILE" in result.stderr


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("step,accuracy\n1,2\n", "must be a CSV file with a header"),
        ("step,loss\n1,low\n", "line 2"),
        ('{"step": 1, "loss": 1}\nnothing\n', "line 2: nothing"),
        ("", "must be a CSV file"),
    ],
)
def test_a_file_that_is_no_curve_is_refused(tmp_path: Path, text: str, refused: str):
    (tmp_path / "curve").write_text(text)
    result = preview("--losses", str(tmp_path / "curve"))
    assert result.exit_code == 2
    assert refused in result.stderr
    assert "--losses" in result.stderr


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    result = preview("--losses", str(tmp_path / "none"))
    assert (result.exit_code, "No such file" in result.stderr) == (2, True)


def test_a_schedule_of_the_update_takes_no_curve(tmp_path: Path):
    (tmp_path / "curve").write_text("step,loss\n1,2\n")
    arguments = ["schedule", "preview", "--family", "cosine", "--losses", str(tmp_path / "curve")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "--losses must be absent: the rates of cosine follow no loss" in result.stderr


def test_the_direction_needs_a_curve():
    result = preview("--maximized")
    assert result.exit_code == 2
    assert "--losses must be given with --maximized" in result.stderr


def test_an_export_that_cannot_be_is_refused_with_what_can(tmp_path: Path):
    result = CliRunner().invoke(app, ["schedule", "export", *FLAGS, "--format", "csv"])
    assert result.exit_code == 2
    assert '"torch" and "schedule-lr" express every one' in result.stderr
