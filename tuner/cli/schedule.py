"""``tuner schedule``: draw a schedule, or write it to a file, wherever it comes from."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show_json
from tuner.cli.schedule_source import Source

if TYPE_CHECKING:
    from tuner.schedules import Schedule

_POINTS = 200
_MAX_STEPS = 10_000_000  # as over REST

app = typer.Typer(help="Draw and export schedules.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _schedule() -> None:
    """Draw and export schedules.

    A schedule is named in one of three ways: by `--family` and what belongs to it, by `--spec` with its JSON, or by
    `--job` for the one that a finished job recommends (or `--trial` of it).
    """


class Format(StrEnum):
    """What a schedule is exported as."""

    JSON = "json"
    CSV = "csv"


Family = Annotated[
    str, typer.Option("--family", metavar="NAME", show_default=False, help="constant, linear, cosine, wsd, ...")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", show_default=False, help="A parameter of the family. Repeatable."),
]
PeakLr = Annotated[
    float | None,
    typer.Option("--peak-lr", metavar="RATE", show_default=False, help="The highest rate; 0.01 when absent."),
]
Warmup = Annotated[
    str,
    typer.Option(
        "--warmup",
        metavar="LENGTH",
        show_default=False,
        help="Length of a linear warm-up, in updates (500) or as a part of the run (0.05, 5%).",
    ),
]
Floor = Annotated[
    float | None,
    typer.Option("--floor", metavar="PART", show_default=False, help="Lowest rate, as a part of the peak."),
]
Spec = Annotated[
    str, typer.Option("--spec", metavar="FILE|-", show_default=False, help="The schedule as JSON; - is standard input.")
]
FromJob = Annotated[
    str,
    typer.Option("--job", metavar="JOB", show_default=False, help="The schedule that this finished job recommends."),
]
Trial = Annotated[
    int | None,
    typer.Option(
        "--trial", metavar="NUMBER", min=0, show_default=False, help="The one of this trial of the job instead."
    ),
]
TotalSteps = Annotated[
    int | None,
    typer.Option(
        "--total-steps",
        metavar="UPDATES",
        min=1,
        max=_MAX_STEPS,
        show_default=False,
        help="Length of the run; a job's schedule is scaled to it. The job's own, else 1000, when absent.",
    ),
]


@app.command()
def preview(
    family: Family = "",
    param: Parameters = None,
    peak_lr: PeakLr = None,
    warmup: Warmup = "",
    floor: Floor = None,
    spec: Spec = "",
    job: FromJob = "",
    trial: Trial = None,
    total_steps: TotalSteps = None,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic axis for the rate.")] = False,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Draw a schedule in the terminal."""
    schedule, steps = Source(
        family=family,
        parameters=tuple(param or ()),
        peak_lr=peak_lr,
        warmup=warmup,
        floor=floor,
        spec=spec,
        job=job,
        trial=trial,
        total_steps=total_steps,
    ).read(url=url)
    if as_json:
        points = [(update, schedule.lr(update, total_steps=steps)) for update in range(0, steps, -(-steps // _POINTS))]
        about = {"label": schedule.label, "digest": schedule.digest, "total_steps": steps}
        show_json({"schedule": schedule, **about, "points": points})
        return
    from rich.console import Console

    from tuner.report.terminal import ScheduleDrawing

    console = Console(highlight=False)
    console.print(f"{schedule.label}; {steps:,} updates")
    console.print(ScheduleDrawing(schedule=schedule, total_steps=steps, log=log))


@app.command()
def export(
    family: Family = "",
    param: Parameters = None,
    peak_lr: PeakLr = None,
    warmup: Warmup = "",
    floor: Floor = None,
    spec: Spec = "",
    job: FromJob = "",
    trial: Trial = None,
    total_steps: TotalSteps = None,
    form: Annotated[
        Format, typer.Option("--format", help="json: the schedule itself; csv: the rate of every update.")
    ] = Format.JSON,
    output: Annotated[
        str, typer.Option("--output", metavar="FILE|-", help="Where to write it; - is standard output.")
    ] = "-",
    url: Url = CURRENT_URL,
) -> None:
    """Write a schedule as JSON, or the rate of every update as CSV."""
    schedule, steps = Source(
        family=family,
        parameters=tuple(param or ()),
        peak_lr=peak_lr,
        warmup=warmup,
        floor=floor,
        spec=spec,
        job=job,
        trial=trial,
        total_steps=total_steps,
    ).read(url=url)
    _write(schedule, total_steps=steps, form=form, output=output)


def _write(schedule: Schedule, *, total_steps: int, form: Format, output: str) -> None:
    from tuner.report.exports import schedule_csv, schedule_json

    lines = [schedule_json(schedule)] if form is Format.JSON else schedule_csv(schedule, total_steps=total_steps)
    if output == "-":
        sys.stdout.writelines(lines)
        return
    from tuner.report.files import write_whole

    place = Path(output).resolve()  # what a link points to is replaced, not the link
    if place.exists() and not place.is_file():
        place.write_bytes("".join(lines).encode())  # a pipe or a device
    else:
        write_whole(place, (line.encode() for line in lines))
    say(f"Wrote {output}.")
