"""``tuner report``: show the report of a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.failures import ExitCode
from tuner.cli.ids import find_job
from tuner.cli.options import CURRENT_URL, AsJson, Job, Url
from tuner.cli.output import say, show, show_rich
from tuner.cli.request import request
from tuner.errors import InvalidValue
from tuner.report.pages.formats import ReportFormat, rendered

if TYPE_CHECKING:
    from tuner.report.report import Report

_REPORT_SECONDS = 60.0  # a report so far is built on request


def report(
    job: Job,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="DIR", show_default=False, help="Write the files of the report to this folder, too."
        ),
    ] = None,
    format: Annotated[
        ReportFormat | None,
        typer.Option("--format", show_default=False, help="Print it as JSON, as Markdown, or as one HTML page."),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Show what a job found: the recommended schedule, and why.

    Of a job that has not completed, whether it runs, waits, was cancelled or failed, it is the report so far. The exit
    code is 1 while no run has come to its end.

    Examples:
        tuner report latest
        tuner report 3f2a91c0 --output results
        tuner report latest --format markdown
    """
    if as_json and format not in (None, ReportFormat.JSON):
        raise InvalidValue("--format", value=format, allowed="json, or absent, with --json")
    standing = request(lambda client: client.standing(find_job(client, text=job)), url=url, timeout=_REPORT_SECONDS)
    found = standing.report
    if found is None:
        say(standing.sentence)
        raise typer.Exit(ExitCode.JOB_NOT_COMPLETED)
    if not standing.final:
        say(f"The job is {standing.state.value}: this is its report so far.")
    wanted = ReportFormat.JSON if as_json else format
    if wanted is None:
        show_report(found)
    else:
        show(rendered(found, format=wanted).rstrip("\n"))
    if output is not None:
        write_files(found, folder=output)


def show_report(report: Report) -> None:
    """Print a report on standard output."""
    from tuner.report.terminal.page import render

    show_rich(render(report))


def write_files(report: Report, *, folder: Path) -> None:
    """Write the files of a report, and list them on standard error."""
    from tuner.report.files import write_report

    written = write_report(report, folder)
    say("\n".join([f"Wrote to {folder}:", *(f"  {path.name}" for path in written)]))
