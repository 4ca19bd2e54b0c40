"""``tuner lr-range-test``: an LR range test of a workload, through the queue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli import completion
from tuner.cli.ids import find_job
from tuner.cli.jobs.options import TRAINING, Name, Option, PriorityClass, Team
from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show, show_json
from tuner.cli.parsing import parse_assignments
from tuner.cli.request import request
from tuner.errors import InvalidValue

if TYPE_CHECKING:
    from tuner.search.range_test.result import RangeTest

_READING = "How it is read"


def lr_range_test(
    workload: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD",
            autocompletion=completion.workloads,
            show_default=False,
            help="As `tuner workloads` lists them.",
        ),
    ] = "",
    option: Option = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="UPDATES",
            show_default="200",
            rich_help_panel=TRAINING,
            help="Updates over which the rate rises.",
        ),
    ] = None,
    low: Annotated[
        float | None,
        typer.Option(
            "--low",
            metavar="LR",
            show_default="a tenth of the lowest peak of a search",
            rich_help_panel=TRAINING,
            help="The rate at the start.",
        ),
    ] = None,
    high: Annotated[
        float | None,
        typer.Option(
            "--high",
            metavar="LR",
            show_default="30 times the highest peak of a search",
            rich_help_panel=TRAINING,
            help="The rate at the end, at least ten times the first.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            metavar="N",
            show_default="3",
            rich_help_panel=TRAINING,
            help="Runs, each on its own seed; their median is read.",
        ),
    ] = None,
    name: Name = None,
    team: Team = None,
    priority: PriorityClass = None,
    job: Annotated[
        str,
        typer.Option(
            "--job",
            metavar="JOB",
            autocompletion=completion.jobs,
            show_default=False,
            rich_help_panel=_READING,
            help="Show the test of this job instead of a new one.",
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            show_default=False,
            rich_help_panel=_READING,
            help="Write it to this file, too: .html, .svg, .png or .json.",
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Run an LR range test: which rates are stable.

    The rate rises exponentially over a short run, on several seeds.
    Its readings bound the peaks that are worth a search. They do not find the best one: `tuner submit --range-test`
    runs the test first, and searches below its bound. Ctrl-C leaves the test running; `--job latest` shows it later.

    Examples:
        tuner lr-range-test digits-mlp
        tuner lr-range-test digits-cnn --option optimizer=sgd --output test.html
        tuner lr-range-test --job latest
    """
    if bool(workload) == bool(job):
        raise InvalidValue("WORKLOAD", value=workload, allowed="given, or --job in its place")
    suffix = _suffix(output)
    if job:
        job_id = request(lambda client: find_job(client, text=job), url=url)
    else:
        given = {"steps": steps, "low": low, "high": high, "seeds": seeds}
        test = {key: value for key, value in given.items() if value is not None}
        top = {"workload": workload, "name": name, "team": team, "priority": priority}
        body: dict[str, Any] = {key: value for key, value in top.items() if value is not None}
        body |= {
            "options": parse_assignments(option or (), option="--option"),
            "search": {"range_test": {**test, "alone": True}},
        }
        job_id = _submit_and_follow(body, url=url, quiet=as_json)
    found = request(lambda client: client.range_test(job_id), url=url)
    if as_json:
        show_json(found)
    else:
        _show(found)
    if output is not None:
        _write(found, output=output, suffix=suffix)


def _submit_and_follow(body: dict[str, Any], *, url: str, quiet: bool) -> str:
    from tuner.cli.jobs.watch import follow_to_the_end

    submitted = request(lambda client: client.submit(body), url=url)
    say(f"Submitted job {submitted.id}.")
    follow_to_the_end(url, job_id=submitted.id, last_line=False, silent=quiet)
    return submitted.id


def _show(test: RangeTest) -> None:
    import shutil

    from tuner.report.terminal.range_test import range_test_text

    show(range_test_text(test, width=min(shutil.get_terminal_size().columns, 100)))


def _suffix(output: Path | None) -> str:
    if output is None:
        return ""
    suffix = output.suffix.removeprefix(".").lower()
    known = ("html", "svg", "png", "json")
    if suffix not in known:
        raise InvalidValue("--output", value=str(output), allowed=f"a name that ends in one of .{', .'.join(known)}")
    return suffix


def _write(test: RangeTest, *, output: Path, suffix: str) -> None:
    from tuner.report.range_test import RangeTestFormat, rendered_range_test

    if suffix != RangeTestFormat.JSON and len(test.points) < 2:
        raise InvalidValue("--output", value=str(output), allowed="a .json: the test has no points to draw")
    output.write_bytes(rendered_range_test(test, format=RangeTestFormat(suffix)))
    say(f"Wrote {output}.")
