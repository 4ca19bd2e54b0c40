"""``tuner schedule import``: the schedule that a script uses today."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tuner.cli.output import say
from tuner.cli.parsing import read_text
from tuner.cli.schedule.options import MAX_STEPS, Output, write

KindName = Literal["huggingface", "torch", "timm", "axolotl"]
"""`tuner.importers.ScheduleSource`, spelled out: importing it takes too long for a help text."""


def import_file(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-",
            show_default=False,
            help="JSON or YAML of TrainingArguments, of a PyTorch scheduler's state_dict(), of timm or of axolotl.",
        ),
    ],
    kind: Annotated[KindName | None, typer.Option("--kind", show_default="found out", help="What the file is.")] = None,
    total_steps: Annotated[
        int | None,
        typer.Option(
            "--total-steps",
            metavar="UPDATES",
            min=1,
            max=MAX_STEPS,
            show_default="the file's own",
            help="Length of the run.",
        ),
    ] = None,
    steps_per_epoch: Annotated[
        int | None,
        typer.Option(
            "--steps-per-epoch",
            metavar="UPDATES",
            min=1,
            show_default="not known",
            help="Updates in one epoch, where the file counts epochs.",
        ),
    ] = None,
    stepped_per: Annotated[
        Literal["update", "epoch"],
        typer.Option("--stepped-per", help="How often the scheduler of PyTorch is stepped."),
    ] = "update",
    peak_lr: Annotated[
        float | None,
        typer.Option("--peak-lr", metavar="RATE", show_default="the file's own", help="The rate, where it has none."),
    ] = None,
    output: Output = "-",
) -> None:
    """Read the schedule that a script uses today, and write its JSON.

    Its rates are those of the script at every update; what cannot be written exactly is refused with the reason.

    Example:
        tuner schedule import args.yaml --steps-per-epoch 391 --output today.json
    """
    from tuner.exports import schedule_json
    from tuner.importers import import_text

    schedule = import_text(
        read_text(file, option="FILE"),
        kind=kind,
        total_steps=total_steps,
        steps_per_epoch=steps_per_epoch,
        stepped_per=stepped_per,
        peak_lr=peak_lr,
    )
    write([schedule_json(schedule)], output=output)
    say(schedule.label)
