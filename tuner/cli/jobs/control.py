"""``tuner pause``, ``resume``, ``cancel``, ``retry``, ``clone``, ``set``, ``delete``: change the state of jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.ids import check_whole, find_job
from tuner.cli.jobs.options import (
    Name,
    NewBudget,
    NewDeviceHours,
    NewPatience,
    NewPriority,
    NewTarget,
    NewTrials,
    NewWallHours,
    Notes,
    Shared,
)
from tuner.cli.options import CURRENT_URL, Job, Url, Yes
from tuner.cli.output import confirm_action, say, show
from tuner.cli.parsing import parse_budget, parse_limits
from tuner.cli.request import request, service_command
from tuner.errors import InvalidValue

if TYPE_CHECKING:
    from tuner.api.jobs import JobDetail, JobView
    from tuner.client import Client


def show_submitted(job: JobView) -> None:
    """Print the id of a new job on standard output, and how to follow it on standard error."""
    show(job.id)
    say(f"Submitted. `tuner watch {job.id[:8]}` follows it.")


def _say_done(done: str) -> Callable[[JobDetail], None]:
    return lambda job: say(f"{done} job {job.id}.")


@service_command(_say_done("Paused"))
def pause(client: Client, job: Job) -> JobDetail:
    """Pause a job, with a snapshot of each of its runs.

    The runs stop at their next evaluation, and continue from there after `tuner resume`.

    Example:
        tuner pause latest
    """
    return client.pause(find_job(client, text=job))


@service_command(_say_done("Resumed"))
def resume(client: Client, job: Job) -> JobDetail:
    """Resume a paused job.

    Example:
        tuner resume latest
    """
    return client.resume(find_job(client, text=job))


@service_command(_say_done("Cancelled"))
def cancel(
    client: Client,
    job: Job,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Stored with the job.")] = "",
) -> JobDetail:
    """Cancel a job; its results so far stay.

    `tuner report` shows what it found until then.

    Example:
        tuner cancel 3f2a91c0 --reason "wrong data"
    """
    return client.cancel(find_job(client, text=job), reason=reason)


@service_command(_say_done("Retried"))
def retry(client: Client, job: Job) -> JobDetail:
    """Retry a failed or cancelled job from where it stopped.

    Example:
        tuner retry 3f2a91c0
    """
    return client.retry(find_job(client, text=job))


@service_command(show_submitted)
def clone(client: Client, job: Job, name: Name = None) -> JobView:
    """Submit a copy of a job.

    The command prints the id of the new job. `tuner submit --from JOB` instead starts from what the job found.

    Example:
        tuner clone 3f2a91c0 --name again
    """
    change = {} if name is None else {"name": name}
    return client.clone(find_job(client, text=job), change=change)


def delete(job: Job, yes: Yes = False, url: Url = CURRENT_URL) -> None:
    """Delete a finished job with all of its results.

    Trials, curves, logs, events and report are deleted. This cannot be undone: with --yes, the job is named by its
    whole id.

    Example:
        tuner delete 3f2a91c0
    """

    def confirm_and_delete(client: Client) -> str:
        job_id = find_job(client, text=job)
        if yes:
            check_whole(job, found=job_id, kind="job")
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
    priority: NewPriority = None,
    budget: NewBudget = None,
    trials: NewTrials = None,
    device_hours: NewDeviceHours = None,
    wall_hours: NewWallHours = None,
    target: NewTarget = None,
    patience: NewPatience = None,
) -> JobDetail:
    """Change a job: its name, notes, priority, budget or limits.

    Name, notes and sharing change at any time, the rest until the job has finished. Options that are left out change
    nothing; `none` lifts a limit.

    Examples:
        tuner set latest --name baseline --priority high
        tuner set 3f2a91c0 --budget 20 --wall-hours none
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
