"""What a job would cost, and what would refuse it: ``tuner submit --dry-run``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from tuner.cli.failures import ExitCode
from tuner.cli.hints import in_commands
from tuner.cli.output import say, show, show_json, show_table

if TYPE_CHECKING:
    from tuner.client import JobPreview
    from tuner.jobs.admission.pricing import Estimate


def print_price(request: Mapping[str, Any], *, url: str, as_json: bool) -> None:
    """Print what a request would cost, were it submitted now.

    Args:
        request: As ``POST /v1/jobs`` takes it.
        url: Address of the service.
        as_json: Whether to print all that the service says.

    Raises:
        typer.Exit: It would be refused.
    """
    from tuner.client import Client

    with Client.from_profile(url) as client:
        preview = client.preview_job(request)
    if as_json:
        show_json(preview)
    else:
        _tell(preview)
    for refusal in preview.would_refuse:
        say(f"It would be refused: {in_commands(refusal.message)}")
    if preview.would_refuse:
        raise typer.Exit(ExitCode.REFUSED)


def _tell(preview: JobPreview) -> None:
    if preview.estimate is not None:
        _tell_estimate(preview.estimate)
        show(f"Jobs that would go first: {preview.queue_ahead}.")


def _tell_estimate(estimate: Estimate) -> None:
    from tuner.cli.jobs.live import clock

    rows = [(f"rung {number}", rung) for number, rung in enumerate(estimate.rungs)]
    rows += [("audit", estimate.audits)] if estimate.audits.runs else []
    rows.append(("confirmation", estimate.confirmations))
    show_table(
        ("AT MOST", "RUNS", "UPDATES OF EACH"),
        [(name, f"{one.runs:,}", f"{one.updates:,}") for name, one in rows],
    )
    show(f"Updates in all, at most: {estimate.updates:,}.")
    if estimate.device_seconds is None:
        show("Device time: unknown, nothing of this workload was measured yet.")
        return
    for model, seconds in sorted(estimate.device_seconds.items()):
        show(f"Device time on {model}, at most: {clock(seconds)}.")
