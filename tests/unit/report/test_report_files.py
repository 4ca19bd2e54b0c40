"""The files of a report, and its pictures."""

from __future__ import annotations

import csv
import io
import struct

import numpy as np
import pytest
from matplotlib.image import imread

from tests.unit.report.studies import (
    CONSTANT,
    DEFAULT,
    LINEAR,
    SEEDS,
    WSD,
    Stop,
    evaluations,
    study,
    tried,
    typical,
    with_curves,
)
from tuner.report.build import build_report
from tuner.report.files import write_report, write_whole
from tuner.report.plots.curves import draw_curves
from tuner.report.plots.estimates import MAX_ROWS, draw_estimates
from tuner.report.plots.pictures import PICTURES, picture_png
from tuner.report.report import Report
from tuner.schedules import Schedule, Warmup, Wsd
from tuner.search.decision.decisions import Role

NAMES = (
    "report.json",
    "recommended-schedule.json",
    "recommended-schedule.csv",
    "report.md",
    "report.html",
    "schedules.png",
    "estimates.png",
    "curves.png",
)


def png_size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_a_report_is_written_as_json_csv_pages_and_pictures(report, tmp_path):
    folder = tmp_path / "new" / "folder"
    paths = write_report(report, folder)
    assert paths == tuple(folder / name for name in NAMES)
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    assert Report.model_validate_json((folder / "report.json").read_text()) == report
    schedule = report.recommended.schedule
    assert Schedule.from_json((folder / "recommended-schedule.json").read_text()) == schedule
    with (folder / "recommended-schedule.csv").open(newline="") as file:
        lrs = [float(row["lr"]) for row in csv.DictReader(file)]
    assert lrs == schedule.lrs(report.total_steps).tolist()
    for path in paths[5:]:
        assert png_size(path.read_bytes())[0] == 1350


def test_writing_again_replaces_every_file(report, tmp_path):
    for path in write_report(report, tmp_path):
        path.write_text("old")
    assert all(path.read_bytes() != b"old" for path in write_report(report, tmp_path))


def test_a_write_that_fails_leaves_no_part_of_a_file(report, tmp_path):
    (tmp_path / "recommended-schedule.csv").mkdir()  # in the way of the rename
    with pytest.raises(OSError, match=r"recommended-schedule\.csv"):
        write_report(report, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "recommended-schedule.csv",
        "recommended-schedule.json",
        "report.json",
    ]


@pytest.mark.parametrize(
    "result",
    [
        study(tried(WSD, 0.3)),
        study(tried(CONSTANT, 0.4), tried(WSD, None), tried(LINEAR)),
        study(tried(WSD, 0.5, None), tried(LINEAR, 0.4, None, None)),
        study(tried(DEFAULT, 0.3, role=Role.INCUMBENT), tried(WSD, Stop(step=300, mean=0.5))),
    ],
    ids=["one run", "one diverged, one failed", "each diverged on a seed", "one stopped"],
)
def test_every_picture_can_be_drawn_of(result):
    for name in PICTURES:
        assert png_size(picture_png(build_report(result), name=name))[1] > 200


def test_stopped_and_diverged_runs_end_in_a_marker_of_their_own():
    curves = {(2, SEEDS[0]): evaluations(1.0, 0.5, 0.281), (4, SEEDS[0]): evaluations(1.0, 3.0, steps=100)}
    axes = draw_curves(build_report(with_curves(typical(), curves))).axes[0]
    steps = [(line.get_marker(), np.asarray(line.get_xdata())) for line in axes.lines]
    marked = {marker: at[0] for marker, at in steps if len(at) == 1}
    assert marked == {"s": 300, "X": 100}


@pytest.mark.parametrize(("losses", "scale"), [((9.0, 4.0, 0.5), "log"), ((0.9, 0.6, 0.5), "linear")])
def test_curves_over_a_wide_range_of_losses_are_drawn_on_a_logarithmic_scale(losses, scale):
    result = with_curves(study(tried(WSD, losses[-1])), {(0, SEEDS[0]): evaluations(*losses)})
    axes = draw_curves(build_report(result)).axes[0]
    low, high = axes.get_ylim()
    assert axes.get_yscale() == scale
    assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 3


def test_of_many_candidates_the_best_are_drawn_and_the_rivals_in_any_case():
    trials = [tried(WSD.model_copy(update={"peak_lr": 0.01 * 1.1**n}), 0.3 + 0.001 * n) for n in range(MAX_ROWS + 9)]
    found = build_report(study(*trials, tried(CONSTANT, 5.0), tried(DEFAULT, 6.0, role=Role.INCUMBENT)))
    ticks = [tick.get_text() for tick in draw_estimates(found).axes[0].get_yticklabels()]
    assert MAX_ROWS < len(ticks) <= MAX_ROWS + 2
    assert any("incumbent" in tick for tick in ticks)


def test_no_text_of_a_picture_is_cut_off_however_long_the_names_are():
    long = Schedule(
        peak_lr=0.0123, family=Wsd(cooldown=0.861, shape="linear"), warmup=Warmup(shape="linear", fraction=0.123)
    ).model_copy(update={"floor": 0.01})
    result = study(tried(CONSTANT, 0.41, 0.40, 0.42), tried(long, 0.30, 0.31, 0.29))
    report = build_report(result).model_copy(update={"job_name": "a long name " * 16})
    for name in PICTURES:
        pixels = imread(io.BytesIO(picture_png(report, name=name)))[..., :3]
        margins = (pixels[:, :2], pixels[:, -2:], pixels[:2], pixels[-2:])
        assert all((margin == 1.0).all() for margin in margins), name


def test_a_file_in_a_folder_that_is_not_there_is_refused_by_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError) as refused:
        write_whole(tmp_path / "nowhere" / "lr.csv", [b"0,1"])
    assert refused.value.filename == str(tmp_path / "nowhere" / "lr.csv")
