"""``tuner schedule compress`` and ``tuner schedule scale``: the same schedule for another run."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show_json
from tuner.cli.schedule.options import (
    MAX_HORIZON,
    Family,
    Floor,
    FromJob,
    Output,
    Parameters,
    PeakLr,
    Spec,
    Trial,
    Warmup,
    write,
)
from tuner.cli.schedule.source import Source
from tuner.errors import InvalidValue

RuleName = Literal["sqrt", "linear"]
"""`tuner.schedules.scaling.ScalingRule`, spelled out: importing it takes too long for a help text."""
OptimizerName = Literal["sgd", "adam"]
"""`tuner.schedules.scaling.ScaledFor`, for the same reason."""


def compress(
    to_steps: Annotated[
        int,
        typer.Option(
            "--to-steps", metavar="UPDATES", min=1, max=MAX_HORIZON, help="Length of the run it is wanted for."
        ),
    ],
    from_steps: Annotated[
        int | None,
        typer.Option(
            "--from-steps",
            metavar="UPDATES",
            min=1,
            max=MAX_HORIZON,
            show_default=False,
            help="Length of the run that it was made for; the job's own when absent.",
        ),
    ] = None,
    min_warmup: Annotated[
        int,
        typer.Option(
            "--min-warmup",
            metavar="UPDATES",
            min=0,
            max=MAX_HORIZON,
            help="Updates that the warm-up keeps where it had them, up to half of the new run.",
        ),
    ] = 10,
    family: Family = "",
    param: Parameters = None,
    peak_lr: PeakLr = None,
    warmup: Warmup = "",
    floor: Floor = None,
    spec: Spec = "",
    job: FromJob = "",
    trial: Trial = None,
    output: Output = "-",
    url: Url = CURRENT_URL,
) -> None:
    """Fit a schedule to a run of another length, and write its JSON.

    The rate at the same progress stays the same. The peak, the floor and all fractions stay; lengths in updates scale
    with the run, and the warm-up keeps its least number of updates. A longer run works the same way.
    """
    if from_steps is None and not job:
        raise InvalidValue("--from-steps", allowed="given where the schedule is no job's")
    schedule, run = Source(
        family=family,
        parameters=tuple(param or ()),
        peak_lr=peak_lr,
        warmup=warmup,
        floor=floor,
        spec=spec,
        job=job,
        trial=trial,
        total_steps=None if job else from_steps,
    ).read(url=url)
    if job and from_steps not in (None, run.total_steps):
        raise InvalidValue("--from-steps", value=from_steps, allowed=f"absent, or {run.total_steps} as the job's")
    from tuner.exports import schedule_json

    fitted = schedule.compressed(to_steps, from_steps=run.total_steps, min_warmup=min_warmup)
    write([schedule_json(fitted)], output=output)
    say(f"{fitted.label}; fitted from {run.total_steps:,} to {to_steps:,} updates.")


def scale(
    rule: Annotated[
        RuleName,
        typer.Option(
            "--rule",
            help="sqrt: the peak times the square root of the ratio, for Adam and its kin; linear: times the ratio, "
            "for SGD.",
        ),
    ],
    to_batch: Annotated[
        int, typer.Option("--to-batch", metavar="SAMPLES", min=1, help="Samples of one update in the new run.")
    ],
    from_batch: Annotated[
        int | None,
        typer.Option(
            "--from-batch",
            metavar="SAMPLES",
            min=1,
            show_default=False,
            help="Samples of one update so far, over all devices and micro-batches; the job's own when absent.",
        ),
    ] = None,
    optimizer: Annotated[
        OptimizerName | None,
        typer.Option("--optimizer", show_default=False, help="What trains; some of what to mind depends on it."),
    ] = None,
    family: Family = "",
    param: Parameters = None,
    peak_lr: PeakLr = None,
    warmup: Warmup = "",
    floor: Floor = None,
    spec: Spec = "",
    job: FromJob = "",
    trial: Trial = None,
    output: Output = "-",
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Carry a schedule over to another batch size, write its JSON, and tell what to mind.

    The square root rule is for Adam and its kin, the linear rule for SGD. Neither is a promise and neither happens by
    itself: it is where to begin to tune again. The lengths stay, in updates.
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
    ).read(url=url, fits=bool(job))
    before = from_batch or run.batch_size
    if before is None:
        raise InvalidValue("--from-batch", allowed="given where no job tells the batch size")
    from tuner.exports import schedule_json
    from tuner.schedules.scaling import ScalingRule, scaled_to_batch

    kind = optimizer or _kind(run.optimizer)
    scaled = scaled_to_batch(schedule, rule=ScalingRule(rule), from_batch=before, to_batch=to_batch, optimizer=kind)
    if as_json:
        show_json(scaled)
        return
    write([schedule_json(scaled.schedule)], output=output)
    say(f"{scaled.schedule.label}; the peak times {scaled.factor:.4g}, from {before:,} to {to_batch:,} samples.")
    for caveat in scaled.caveats:
        say(f"- {caveat}")


def _kind(optimizer: str) -> OptimizerName | None:
    match optimizer:
        case "sgd" | "adam":
            return optimizer
    return None
