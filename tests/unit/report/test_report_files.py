from __future__ import annotations

import csv
import io
import struct

import pytest
from matplotlib.image import imread

from tuner.report.build import build_report
from tuner.report.files import write_report
from tuner.report.plots.pictures import PICTURES, picture_png
from tuner.report.report import Report
from tuner.schedules import Schedule, Warmup, Wsd
from tuner.search.decision.decisions import Control, TrialStatus

NAMES = (
    "report.json",
    "best-schedule.json",
    "best-schedule.csv",
    "recommended-schedule.json",
    "recommended-schedule.csv",
    "report.md",
    "report.html",
    "schedules.png",
    "confirmations.png",
    "rungs.png",
)


def png_size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_a_report_is_written_as_json_csv_and_pictures(report, tmp_path):
    folder = tmp_path / "new" / "folder"
    paths = write_report(report, folder)
    assert paths == tuple(folder / name for name in NAMES)
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    assert Report.model_validate_json((folder / "report.json").read_text()) == report
    for name, candidate in (("best", report.best), ("recommended", report.recommended)):
        assert Schedule.from_json((folder / f"{name}-schedule.json").read_text()) == candidate.schedule
        with (folder / f"{name}-schedule.csv").open(newline="") as file:
            lrs = [float(row["lr"]) for row in csv.DictReader(file)]
        assert lrs == candidate.schedule.lrs(report.total_steps).tolist()
    for path in paths[7:]:
        assert png_size(path.read_bytes())[0] == 1350


def test_writing_again_replaces_every_file(report, tmp_path):
    for path in write_report(report, tmp_path):
        path.write_text("old")
    assert all(path.read_bytes() != b"old" for path in write_report(report, tmp_path))


def test_a_write_that_fails_leaves_no_part_of_a_file(report, tmp_path):
    (tmp_path / "best-schedule.csv").mkdir()  # in the way of the rename
    with pytest.raises(OSError, match=r"best-schedule\.csv"):
        write_report(report, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best-schedule.csv",
        "best-schedule.json",
        "report.json",
    ]


def test_pictures_can_be_drawn_of_a_study_without_confirmation(studies):
    trials = [
        studies.trial(0, studies.constant, 0.6, 0.5, 0.4, control=Control.CONSTANT),
        studies.trial(1, studies.wsd, None, status=TrialStatus.PRUNED),
        studies.trial(2, studies.linear, status=TrialStatus.FAILED),
    ]
    report = build_report(studies.result(trials, {}, confirm_updates=0))
    for name in PICTURES:
        assert png_size(picture_png(report, name=name))[1] > 200


def test_pictures_can_be_drawn_where_every_candidate_diverged(studies):
    trials = [studies.trial(0, studies.wsd, 0.5, 0.5, 0.5)]
    report = build_report(studies.result(trials, {0: studies.confirmed(None, None)}))
    for name in ("confirmations", "rungs"):
        assert png_size(picture_png(report, name=name))[1] > 200


@pytest.mark.parametrize("scale", [1.0, -1.0, 1e-6, 50.0])
def test_the_ladder_can_be_drawn_on_any_scale_of_losses(studies, scale):
    trials = [
        studies.trial(0, studies.wsd, 9.0 * scale, 4.0 * scale, 0.5 * scale),
        studies.trial(1, studies.linear, 90.0 * scale, status=TrialStatus.PRUNED),
    ]
    assert png_size(picture_png(build_report(studies.result(trials, {})), name="rungs"))[1] > 200


def test_no_text_of_a_picture_is_cut_off_however_long_the_names_are(studies):
    long = Schedule(
        peak_lr=0.0123, family=Wsd(cooldown=0.861, shape="linear"), warmup=Warmup(shape="linear", fraction=0.123)
    ).model_copy(update={"floor": 0.01})
    trials = [
        studies.trial(0, studies.constant, 0.6, 0.5, 0.4, control=Control.CONSTANT),
        studies.trial(1, long, 0.6, 0.5, 0.3),
    ]
    confirmations = {0: studies.confirmed(0.41, 0.40, 0.42), 1: studies.confirmed(0.30, 0.31, 0.29)}
    report = build_report(studies.result(trials, confirmations)).model_copy(update={"job_name": "a long name " * 16})
    for name in PICTURES:
        pixels = imread(io.BytesIO(picture_png(report, name=name)))[..., :3]
        margins = (pixels[:, :2], pixels[:, -2:], pixels[:2], pixels[-2:])
        assert all((margin == 1.0).all() for margin in margins), name
