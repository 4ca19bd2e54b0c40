"""``tuner pause``, ``resume``, ``cancel``, ``retry``, ``clone``, ``set``, ``delete``: what people do to jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.job_ids import find_job
from tuner.cli.options import CURRENT_URL, AsJson, Job, Url, Yes
from tuner.cli.output import confirm_action, say, show, show_json
from tuner.cli.parsing import amounts
from tuner.errors import InvalidValue
from tuner.jobs.priority import Priority

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.jobs.progress import JobDetail

Name = Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What people call the job.")]
Notes = Annotated[str | None, typer.Option("--notes", metavar="TEXT", help="Anything worth remembering; Markdown.")]
Shared = Annotated[
    bool | None,
    typer.Option("--shared/--not-shared", show_default=False, help="Whether every team may look at it."),
]
Urgency = Annotated[Priority | None, typer.Option("--priority", help="A higher class goes first.")]


def _limit(option: str, *, unit: str, help: str) -> Any:
    return typer.Option(option, metavar=f"{unit}|none", show_default=False, help=help)


DeviceHours = Annotated[
    str | None, _limit("--device-hours", unit="HOURS", help="Stop at so much device time of all runs together.")
]
WallHours = Annotated[str | None, _limit("--wall-hours", unit="HOURS", help="Stop so long after the start.")]
TargetLoss = Annotated[
    str | None, _limit("--target-loss", unit="LOSS", help="End the search at this loss at the full horizon.")
]
Patience = Annotated[
    str | None, _limit("--patience", unit="TRIALS", help="End the search after so many trials without a new best.")
]
MaxUpdates = Annotated[
    str | None, _limit("--max-updates", unit="UPDATES", help="Upper limit of updates for the whole job.")
]


def pause(job: Job, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Set a job aside; what is being trained stops at its next evaluation, and goes on from there later."""
    _steer(job, url=url, as_json=as_json, act=lambda client, job_id: client.pause(job_id), done="Paused")


def resume(job: Job, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Let a paused job go on."""
    _steer(job, url=url, as_json=as_json, act=lambda client, job_id: client.resume(job_id), done="Resumed")


def cancel(
    job: Job,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the job.")] = "",
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Stop a job; what it has found so far is kept."""
    _steer(
        job, url=url, as_json=as_json, act=lambda client, job_id: client.cancel(job_id, reason=reason), done="Cancelled"
    )


def retry(job: Job, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Have a failed or cancelled job go on where it stopped."""
    _steer(job, url=url, as_json=as_json, act=lambda client, job_id: client.retry(job_id), done="Going on with")


def clone(job: Job, name: Name = None, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Submit a job like another one; prints the new one's id on standard output."""
    from tuner.client import Client

    change = {} if name is None else {"name": name}
    with Client.from_profile(url) as client:
        new = client.clone(find_job(client, text=job), change=change)
    if as_json:
        show_json(new)
    else:
        show(new.id)
        say(f"Submitted. `tuner watch {new.id[:8]}` follows it.")


def delete(job: Job, yes: Yes = False, url: Url = CURRENT_URL) -> None:
    """Delete a job that is over, with its trials, curves, logs and report. This cannot be undone."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job_id = find_job(client, text=job)
        detail = client.job(job_id)
        name = f" ({detail.spec.name})" if detail.spec.name else ""
        confirm_action(f"Delete job {job_id}{name} with everything that it found?", yes=yes)
        client.delete(job_id)
    say(f"Deleted job {job_id}.")


def set_job(
    job: Job,
    name: Name = None,
    notes: Notes = None,
    shared: Shared = None,
    priority: Urgency = None,
    trials: Annotated[int | None, typer.Option("--trials", help="Schedules to try, the controls included.")] = None,
    max_updates: MaxUpdates = None,
    device_hours: DeviceHours = None,
    wall_hours: WallHours = None,
    target_loss: TargetLoss = None,
    patience: Patience = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Change a job: its name and notes at any time, its priority, budget and limits while it is not over.

    `none` lifts a limit.
    """
    plain = {"name": name, "notes": notes, "shared": shared, "priority": priority, "trials": trials}
    limits = amounts(
        {"device_hours": device_hours, "wall_hours": wall_hours, "target_loss": target_loss, "patience": patience}
    )
    change: dict[str, Any] = {field: value for field, value in plain.items() if value is not None}
    change |= amounts({"max_updates": max_updates}) | ({"limits": limits} if limits else {})
    if not change:
        raise InvalidValue("the change", allowed="given by at least one option", hint="`tuner set --help`")
    _steer(job, url=url, as_json=as_json, act=lambda client, job_id: client.change(job_id, change), done="Changed")


def _steer(job: str, *, url: str, as_json: bool, act: Callable[[Client, str], JobDetail], done: str) -> None:
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job_id = find_job(client, text=job)
        after = act(client, job_id)
    if as_json:
        show_json(after)
    else:
        say(f"{done} job {job_id}.")
