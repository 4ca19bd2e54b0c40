"""Options of the commands that take a schedule, and the output of a schedule."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli import completion
from tuner.cli.output import say

MAX_STEPS = 100_000_000
"""Longest run of a schedule, as in the API."""

Family = Annotated[
    str,
    typer.Option(
        "--family",
        metavar="NAME",
        autocompletion=completion.families,
        show_default=False,
        help="constant, linear, cosine, wsd, ...",
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", show_default=False, help="A parameter of the family. Repeatable."),
]
PeakLr = Annotated[
    float | None,
    typer.Option("--peak-lr", metavar="RATE", show_default="0.01", help="Peak learning rate."),
]
Warmup = Annotated[
    str,
    typer.Option(
        "--warmup",
        metavar="LENGTH",
        show_default="none",
        help="Length of a linear warm-up, in updates (500) or as a fraction of the run (0.05, 5%).",
    ),
]
Floor = Annotated[
    float | None,
    typer.Option(
        "--floor", metavar="FRACTION", show_default="0", help="Lowest learning rate, as a fraction of the peak."
    ),
]
Spec = Annotated[
    str, typer.Option("--spec", metavar="FILE|-", show_default=False, help="The schedule as JSON; - is standard input.")
]
FromJob = Annotated[
    str,
    typer.Option(
        "--job",
        metavar="JOB",
        autocompletion=completion.jobs,
        show_default=False,
        help="The recommended schedule of this finished job.",
    ),
]
Trial = Annotated[
    int | None,
    typer.Option("--trial", metavar="NUMBER", min=0, show_default=False, help="The schedule of this trial of the job."),
]
TotalSteps = Annotated[
    int | None,
    typer.Option(
        "--total-steps",
        metavar="UPDATES",
        min=1,
        max=MAX_STEPS,
        show_default="the job's own, else 1000",
        help="Length of the run; a job's schedule is scaled to it.",
    ),
]
Output = Annotated[str, typer.Option("--output", metavar="FILE|-", help="Where to write it; - is standard output.")]


def write(chunks: Iterable[str], *, output: str) -> None:
    """Write to a file, atomically, or to standard output for ``-``.

    Raises:
        OSError: It cannot be written.
    """
    if output == "-":
        sys.stdout.writelines(chunks)
        return
    from tuner.report.files import write_whole

    place = Path(output).resolve()  # replaces the target of a link, not the link
    if place.exists() and not place.is_file():
        place.write_bytes("".join(chunks).encode())  # a pipe or a device
    else:
        write_whole(place, (chunk.encode() for chunk in chunks))
    say(f"Wrote {output}.")
