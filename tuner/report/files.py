"""The report as files in a folder, each written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from tuner.exports import schedule_csv, schedule_json
from tuner.report.pages.html import html_page
from tuner.report.pages.markdown import markdown_page
from tuner.report.plots.pictures import PICTURES, picture_png
from tuner.report.report import Report
from tuner.schedules import Schedule


def write_report(report: Report, folder: Path) -> tuple[Path, ...]:
    """Write the report, its schedules and its pictures.

    Existing files are replaced. Each file is written under a temporary name and renamed, so that a reader never sees a
    part of it, and a failure leaves the existing file unchanged.

    Args:
        report: The report.
        folder: Where to; made when it does not exist.

    Returns:
        The files, always these and in this order: ``report.json``; ``recommended-schedule.json`` and
        ``recommended-schedule.csv`` (the learning rate of every update); ``report.md`` and ``report.html``;
        ``schedules.png``, ``estimates.png`` and ``curves.png``.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [write_whole(folder / "report.json", [report.model_dump_json(indent=2).encode(), b"\n"])]
    stem = folder / "recommended-schedule"
    written += _write_schedule(report.recommended.schedule, total_steps=report.total_steps, stem=stem)
    for name, page in (("report.md", markdown_page), ("report.html", html_page)):
        written.append(write_whole(folder / name, [page(report).encode()]))
    for name in PICTURES:
        written.append(write_whole(folder / f"{name}.png", [picture_png(report, name=name)]))
    return tuple(written)


def _write_schedule(schedule: Schedule, *, total_steps: int, stem: Path) -> list[Path]:
    lines = (line.encode() for line in schedule_csv(schedule, total_steps=total_steps))
    return [
        write_whole(stem.with_suffix(".json"), [schedule_json(schedule).encode()]),
        write_whole(stem.with_suffix(".csv"), lines),
    ]


def write_whole(path: Path, chunks: Iterable[bytes]) -> Path:
    """Write a file under a temporary name and rename it, so that an existing file is replaced completely or not at all.

    Args:
        path: Its place, in a folder that exists.
        chunks: What it holds.

    Returns:
        The path.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)  # the name that the caller knows
        raise
    return path
