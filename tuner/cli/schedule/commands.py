"""``tuner schedule``: draw a schedule, write it to a file, fit it to another run, wherever it comes from."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show_json, show_table
from tuner.cli.schedule.fitting import compress, scale
from tuner.cli.schedule.options import (
    Family,
    Floor,
    FromJob,
    Output,
    Parameters,
    PeakLr,
    Spec,
    TotalSteps,
    Trial,
    Warmup,
    write,
)
from tuner.cli.schedule.source import Source

_POINTS = 200
FormatName = Literal[
    "json",
    "record",
    "csv",
    "python",
    "torch",
    "schedule-lr",
    "torch-builtin",
    "huggingface",
    "lightning",
    "timm",
    "composer",
    "keras",
    "optax",
    "deepspeed",
    "megatron",
]
"""`tuner.exports.ExportFormat`, spelled out: importing it takes too long for a help text."""

app = typer.Typer(help="Draw, export and fit schedules.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _schedule() -> None:
    """Draw, export and fit schedules.

    A schedule is named in one of three ways: by `--family` and what belongs to it, by `--spec` with its JSON, or by
    `--job` for the one that a finished job recommends (or `--trial` of it).
    """


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
    schedule, run = Source(
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
    steps = run.total_steps
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
        FormatName,
        typer.Option(
            "--format",
            metavar="NAME",
            help=f"What to write: {', '.join(get_args(FormatName))}. `tuner schedule formats` describes them.",
        ),
    ] = "json",
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="SAMPLES",
            min=1,
            show_default=False,
            help="Samples of one update, for the export to state; the job's own when absent.",
        ),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            show_default=False,
            help="What trains, for the export to state; the job's own when absent.",
        ),
    ] = "",
    output: Output = "-",
    url: Url = CURRENT_URL,
) -> None:
    """Write a schedule as data, or as code for the library that trains with it.

    Every export gives the same learning rates, update for update. Where a library's own schedules cannot, a function
    in its terms does, and the reason is told.
    """
    schedule, run = Source(
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
    from dataclasses import replace

    from tuner.exports import ExportFormat
    from tuner.exports import export as exported

    run = replace(run, batch_size=batch_size or run.batch_size, optimizer=optimizer or run.optimizer)
    written = exported(schedule, format=ExportFormat(form), run=run)
    write(written.chunks, output=output)
    if written.fallback_reason:
        say(f"A function, as {form} cannot express this in its own terms: {written.fallback_reason}")


@app.command()
def formats(as_json: AsJson = False) -> None:
    """List what a schedule can be exported as, and what each can express in its own terms.

    What a library cannot express becomes a function in its terms, so every format writes every schedule.
    """
    from tuner.exports import EXPORTERS

    if as_json:
        fields = ("name", "description", "native", "requires", "media_type")
        show_json([{field: getattr(each, field) for field in fields} for each in EXPORTERS.values()])
        return
    rows = [(each.name, each.requires or "-", each.description, each.native) for each in EXPORTERS.values()]
    show_table(("FORMAT", "NEEDS", "WHAT IT IS", "IN ITS OWN TERMS"), rows)


app.command()(compress)
app.command()(scale)
