"""``tuner schedule``: draw a schedule, export it, fit it to another run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tuner.cli.help import App
from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show, show_json, show_rich, show_table
from tuner.cli.schedule.families import families
from tuner.cli.schedule.fitting import compress, scale
from tuner.cli.schedule.importing import import_file
from tuner.cli.schedule.options import Output, TotalSteps, write
from tuner.cli.schedule.source import ScheduleSource, takes_schedule
from tuner.errors import InvalidValue

if TYPE_CHECKING:
    from tuner.schedules import Schedule

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

app = App()


@app.callback()
def _schedule() -> None:
    """Draw, export and fit schedules.

    Name a schedule in one of three ways: `--family` with its options, `--spec` with its JSON, or `--job` for the
    recommendation of a finished job (or one of its trials, with `--trial`).

    Examples:
        tuner schedule preview --family cosine --warmup 5%
        tuner schedule export --job latest --format torch
    """


@app.command()
@takes_schedule
def preview(
    *,
    source: ScheduleSource,
    total_steps: TotalSteps = None,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic axis for the rate.")] = False,
    losses: Annotated[
        Path | None,
        typer.Option(
            "--losses",
            metavar="FILE",
            show_default="as if all improved",
            help="Evaluations of a run, for rates that follow them: CSV with step,loss.",
        ),
    ] = None,
    maximized: Annotated[
        bool, typer.Option("--maximized", help="The values of --losses are of a metric that is maximized.")
    ] = False,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Draw a schedule in the terminal.

    Examples:
        tuner schedule preview --family wsd --param cooldown=0.2
        tuner schedule preview --job latest --log
        tuner schedule preview --family reduce_on_plateau --losses curve.csv
    """
    schedule, run = source.read(url=url, total_steps=total_steps)
    steps = run.total_steps
    followed = _followed(schedule, losses=losses, maximized=maximized)
    if as_json:
        at = range(0, steps, -(-steps // _POINTS))
        points = list(zip(at, schedule.lrs_at(at, total_steps=steps, losses=followed).tolist(), strict=True))
        summary = {"label": schedule.label, "digest": schedule.digest, "total_steps": steps}
        show_json({"schedule": schedule, **summary, "points": points})
        return
    from tuner.report.terminal.page import ScheduleDrawing

    show(f"{schedule.label}; {steps:,} updates")
    show_rich(ScheduleDrawing(schedule=schedule, total_steps=steps, log=log, losses=followed))
    if schedule.follows_loss and losses is None:
        say("Its rates follow the loss; drawn as if every evaluation improved. --losses FILE draws a recorded curve.")


def _followed(schedule: Schedule, *, losses: Path | None, maximized: bool) -> tuple[tuple[int, float], ...]:
    """The evaluations that a schedule follows."""
    from tuner.cli.schedule.losses import read_losses

    if losses is None:
        if maximized:
            raise InvalidValue("--losses", allowed="given with --maximized")
        return ()
    if not schedule.follows_loss:
        family = schedule.family.name
        raise InvalidValue("--losses", value=str(losses), allowed=f"absent: the rates of {family} follow no loss")
    return read_losses(losses, maximized=maximized)


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
            help="What to write; `tuner schedule formats` describes them.",
        ),
    ] = "json",
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="SAMPLES",
            min=1,
            show_default="the job's own",
            help="Samples of one update, which the export states.",
        ),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            show_default="the job's own",
            help="The optimizer, which the export states.",
        ),
    ] = "",
    output: Output = "-",
    url: Url = CURRENT_URL,
) -> None:
    """Export a schedule as data, or as code for a training library.

    Every export has the same learning rate at every update. Where a library's own schedules cannot express it, the
    export is a function for that library, and a message gives the reason.

    Examples:
        tuner schedule export --job latest --format torch
        tuner schedule export --family cosine --format csv --output lr.csv
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


app.command()(families)


@app.command()
def formats(as_json: AsJson = False) -> None:
    """List the export formats.

    Every format can write every schedule: one that it cannot express natively becomes a function.

    Example:
        tuner schedule formats
    """
    from tuner.exports import EXPORTERS

    if as_json:
        fields = ("name", "description", "native", "requires", "media_type")
        show_json([{field: getattr(each, field) for field in fields} for each in EXPORTERS.values()])
        return
    rows = [(each.name, each.requires or "-", each.description, each.native) for each in EXPORTERS.values()]
    show_table(("FORMAT", "REQUIRES", "DESCRIPTION", "NATIVE"), rows)


app.command("import")(import_file)
app.command()(compress)
app.command()(scale)
