"""``tuner submit --dry-run``: what a job would cost, and why it would be refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from tuner.cli.failures import ExitCode
from tuner.cli.hints import refusal_in_options
from tuner.cli.output import say, show, show_json
from tuner.cli.request import request

if TYPE_CHECKING:
    from tuner.client import JobPreview
    from tuner.jobs.admission.pricing import Estimate


def print_price(body: Mapping[str, Any], *, url: str, as_json: bool) -> None:
    """Print what a job would cost if it were submitted now.

    Args:
        body: The job, as ``POST /v1/jobs`` takes it.
        url: Address of the service.
        as_json: Whether to print the service's response as JSON.

    Raises:
        typer.Exit: It would be refused.
    """
    preview = request(lambda client: client.preview_job(body), url=url)
    if as_json:
        show_json(preview)
    else:
        _show_preview(preview)
    for refusal in preview.refusals:
        say(f"It would be refused: {refusal_in_options(refusal.message)}")
    if preview.refusals:
        raise typer.Exit(ExitCode.REFUSED)


def _show_preview(preview: JobPreview) -> None:
    if preview.estimate is not None:
        _show_estimate(preview.estimate)
        show(f"Jobs that would be scheduled first: {preview.jobs_ahead}.")
    if preview.would_wait is not None:
        show(f"It would wait: {preview.would_wait}.")


def _show_estimate(estimate: Estimate) -> None:
    from tuner.cli.jobs.live import format_clock

    price = estimate.price
    show(f"At most {price.full_runs:.3g} full runs, {price.updates:,} updates; what would change nothing is not spent.")
    show("Each run is one of these, whichever is worth most:")
    for phrase in estimate.compared:
        show(f"  {phrase}")
    show(price.expectation)
    if estimate.device_seconds is None:
        show("Device time: unknown until a run of this workload has been measured.")
        return
    for model, seconds in sorted(estimate.device_seconds.items()):
        show(f"Device time on {model}, at most: {format_clock(seconds)}.")
