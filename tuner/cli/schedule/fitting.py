"""``tuner schedule compress`` and ``tuner schedule scale``: fit a schedule to another length or batch size."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show_json
from tuner.cli.schedule.options import MAX_STEPS, Output, write
from tuner.cli.schedule.source import ScheduleSource, takes_schedule
from tuner.errors import InvalidValue

RuleName = Literal["sqrt", "linear"]
"""`tuner.schedules.scaling.ScalingRule`, spelled out: importing it takes too long for a help text."""
OptimizerName = Literal["sgd", "adam"]
"""`tuner.schedules.scaling.ScaledFor`, for the same reason."""


@takes_schedule
def compress(
    *,
    to_steps: Annotated[
        int,
        typer.Option("--to-steps", metavar="UPDATES", min=1, max=MAX_STEPS, help="Length of the new run."),
    ],
    from_steps: Annotated[
        int | None,
        typer.Option(
            "--from-steps",
            metavar="UPDATES",
            min=1,
            max=MAX_STEPS,
            show_default="the job's own",
            help="Length of the run it was tuned for.",
        ),
    ] = None,
    min_warmup: Annotated[
        int,
        typer.Option(
            "--min-warmup",
            metavar="UPDATES",
            min=0,
            max=MAX_STEPS,
            help="Minimum length of the warm-up, where the schedule has as much; at most half of the new run.",
        ),
    ] = 10,
    source: ScheduleSource,
    output: Output = "-",
    url: Url = CURRENT_URL,
) -> None:
    """Fit a schedule to a run of another length.

    The learning rate at the same progress stays the same. The peak, the floor and all fractions stay; lengths in
    updates scale with the run, and the warm-up keeps its minimum. The run may also be longer.

    Example:
        tuner schedule compress --job latest --to-steps 500
    """
    if from_steps is None and not source.job:
        raise InvalidValue("--from-steps", allowed="given unless the schedule comes from a job")
    schedule, run = source.read(url=url, total_steps=None if source.job else from_steps)
    if source.job and from_steps not in (None, run.total_steps):
        raise InvalidValue("--from-steps", value=from_steps, allowed=f"absent, or {run.total_steps} like the job's")
    from tuner.exports import schedule_json

    fitted = schedule.compressed(to_steps, from_steps=run.total_steps, min_warmup=min_warmup)
    write([schedule_json(fitted)], output=output)
    say(f"{fitted.label}; fitted from {run.total_steps:,} to {to_steps:,} updates.")


@takes_schedule
def scale(
    *,
    rule: Annotated[
        RuleName,
        typer.Option(
            "--rule",
            help="sqrt: the peak times the square root of the ratio, for Adam and its variants; linear: times the "
            "ratio, for SGD.",
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
            show_default="the job's own",
            help="Samples of one update so far, over all devices and micro-batches.",
        ),
    ] = None,
    optimizer: Annotated[
        OptimizerName | None,
        typer.Option("--optimizer", show_default=False, help="The optimizer; some caveats depend on it."),
    ] = None,
    source: ScheduleSource,
    output: Output = "-",
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Scale a schedule to another batch size.

    The command writes its JSON and lists the caveats. The square root rule is for Adam and its variants, the linear
    rule for SGD. Both are starting points for a new search, not guarantees. The lengths in updates stay.

    Example:
        tuner schedule scale --job latest --rule sqrt --to-batch 512
    """
    schedule, run = source.read(url=url, must_fit=bool(source.job))
    before = from_batch or run.batch_size
    if before is None:
        raise InvalidValue("--from-batch", allowed="given unless a job has the batch size")
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
