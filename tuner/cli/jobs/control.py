"""``tuner pause``, ``resume``, ``cancel``, ``retry``, ``clone``, ``set``, ``delete``: change the state of jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.job_ids import find_job
from tuner.cli.options import CURRENT_URL, Job, Url, Yes, limit_option
from tuner.cli.output import confirm_action, say, show
from tuner.cli.parsing import parse_budget, parse_limits
from tuner.cli.request import request, service_command
from tuner.errors import InvalidValue
from tuner.jobs.priority import Priority

if TYPE_CHECKING:
    from tuner.api.jobs import JobDetail, JobView
    from tuner.client import Client

Name = Annotated[str | None, typer.Option("--name", metavar="TEXT", help="A name for the job; free text.")]
Notes = Annotated[str | None, typer.Option("--notes", metavar="TEXT", help="Anything worth remembering; Markdown.")]
Shared = Annotated[
    bool | None,
    typer.Option("--shared/--not-shared", show_default=False, help="Whether all teams may see the job."),
]
PriorityClass = Annotated[Priority | None, typer.Option("--priority", help="A higher class is scheduled first.")]


DeviceHours = Annotated[
    str | None, limit_option("--device-hours", unit="HOURS", help="Stop at this device time, summed over all runs.")
]
WallHours = Annotated[str | None, limit_option("--wall-hours", unit="HOURS", help="Stop this long after the start.")]
Target = Annotated[
    str | None,
    limit_option("--target", unit="VALUE", help="Try no more schedules once one reaches this value at the horizon."),
]
Patience = Annotated[
    str | None,
    limit_option("--patience", unit="TRIALS", help="Try no more schedules after this many without a new best."),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="FULL-RUNS|NAME",
        show_default=False,
        help="What the job may cost, in full runs, from 1: a number, or quick (3), standard (10), thorough (30).",
    ),
]
Trials = Annotated[
    str | None, limit_option("--trials", unit="TRIALS", help="Most schedules to try; none: what the budget pays for.")
]


def show_submitted(job: JobView) -> None:
    """Print the id of a new job on standard output, and how to follow it on standard error."""
    show(job.id)
    say(f"Submitted. `tuner watch {job.id[:8]}` follows it.")


def _say_done(done: str) -> Callable[[JobDetail], None]:
    return lambda job: say(f"{done} job {job.id}.")


@service_command(_say_done("Paused"))
def pause(client: Client, job: Job) -> JobDetail:
    """Pause a job: its runs stop at their next evaluation and continue from there after `tuner resume`."""
    return client.pause(find_job(client, text=job))


@service_command(_say_done("Resumed"))
def resume(client: Client, job: Job) -> JobDetail:
    """Resume a paused job."""
    return client.resume(find_job(client, text=job))


@service_command(_say_done("Cancelled"))
def cancel(
    client: Client,
    job: Job,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Stored with the job.")] = "",
) -> JobDetail:
    """Cancel a job; its results so far stay."""
    return client.cancel(find_job(client, text=job), reason=reason)


@service_command(_say_done("Retried"))
def retry(client: Client, job: Job) -> JobDetail:
    """Retry a failed or cancelled job from where it stopped."""
    return client.retry(find_job(client, text=job))


@service_command(show_submitted)
def clone(client: Client, job: Job, name: Name = None) -> JobView:
    """Submit a copy of a job; prints the new job's id on standard output."""
    change = {} if name is None else {"name": name}
    return client.clone(find_job(client, text=job), change=change)


def delete(job: Job, yes: Yes = False, url: Url = CURRENT_URL) -> None:
    """Delete a finished job with its trials, curves, logs and report. This cannot be undone."""

    def confirm_and_delete(client: Client) -> str:
        job_id = find_job(client, text=job)
        detail = client.job(job_id)
        name = f" ({detail.spec.name})" if detail.spec.name else ""
        confirm_action(f"Delete job {job_id}{name} with all of its results?", yes=yes)
        client.delete(job_id)
        return job_id

    say(f"Deleted job {request(confirm_and_delete, url=url)}.")


@service_command(_say_done("Changed"))
def set_job(
    client: Client,
    job: Job,
    name: Name = None,
    notes: Notes = None,
    shared: Shared = None,
    priority: PriorityClass = None,
    budget: Budget = None,
    trials: Trials = None,
    device_hours: DeviceHours = None,
    wall_hours: WallHours = None,
    target: Target = None,
    patience: Patience = None,
) -> JobDetail:
    """Change a job: its name and notes at any time; its priority, budget and limits until it has finished.

    `none` lifts a limit.
    """
    plain = {"name": name, "notes": notes, "shared": shared, "priority": priority, "budget": parse_budget(budget)}
    limits = parse_limits(
        {"device_hours": device_hours, "wall_hours": wall_hours, "target": target, "patience": patience}
    )
    change: dict[str, Any] = {field: value for field, value in plain.items() if value is not None}
    change |= parse_limits({"trials": trials}) | ({"limits": limits} if limits else {})
    if not change:
        raise InvalidValue("the change", allowed="given by at least one option", hint="`tuner set --help`")
    return client.change(find_job(client, text=job), change)
