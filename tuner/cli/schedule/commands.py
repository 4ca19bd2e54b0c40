"""``tuner schedule``: draw a schedule, export it, fit it to another run."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show_json, show_table
from tuner.cli.schedule.fitting import compress, scale
from tuner.cli.schedule.options import Output, TotalSteps, write
from tuner.cli.schedule.source import ScheduleSource, takes_schedule

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

    Name a schedule in one of three ways: `--family` with its options, `--spec` with its JSON, or `--job` for the
    recommendation of a finished job (or one of its trials, with `--trial`).
    """


@app.command()
@takes_schedule
def preview(
    *,
    source: ScheduleSource,
    total_steps: TotalSteps = None,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic axis for the rate.")] = False,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Draw a schedule in the terminal."""
    schedule, run = source.read(url=url, total_steps=total_steps)
    steps = run.total_steps
    if as_json:
        points = [(update, schedule.lr(update, total_steps=steps)) for update in range(0, steps, -(-steps // _POINTS))]
        summary = {"label": schedule.label, "digest": schedule.digest, "total_steps": steps}
        show_json({"schedule": schedule, **summary, "points": points})
        return
    from rich.console import Console

    from tuner.report.terminal.page import ScheduleDrawing

    console = Console(highlight=False)
    console.print(f"{schedule.label}; {steps:,} updates")
    console.print(ScheduleDrawing(schedule=schedule, total_steps=steps, log=log))


@app.command()
@takes_schedule
def export(
    *,
    source: ScheduleSource,
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
            help="Samples of one update, which the export states; the job's own when absent.",
        ),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            show_default=False,
            help="The optimizer, which the export states; the job's own when absent.",
        ),
    ] = "",
    output: Output = "-",
    url: Url = CURRENT_URL,
) -> None:
    """Export a schedule as data, or as code for a training library.

    Every export has the same learning rate at every update. Where a library's own schedules cannot express it, the
    export is a function for that library, and a message gives the reason.
    """
    schedule, run = source.read(url=url, total_steps=total_steps)
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
    """List the export formats, and the schedules that each expresses natively.

    Every format can write every schedule: one that it cannot express natively becomes a function.
    """
    from tuner.exports import EXPORTERS

    if as_json:
        fields = ("name", "description", "native", "requires", "media_type")
        show_json([{field: getattr(each, field) for field in fields} for each in EXPORTERS.values()])
        return
    rows = [(each.name, each.requires or "-", each.description, each.native) for each in EXPORTERS.values()]
    show_table(("FORMAT", "REQUIRES", "DESCRIPTION", "NATIVE"), rows)


app.command()(compress)
app.command()(scale)
