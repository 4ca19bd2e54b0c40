"""``tuner jobs``, ``tuner show``: list jobs, show one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tuner.cli import completion
from tuner.cli.ids import find_job
from tuner.cli.jobs.trials import TRIALS
from tuner.cli.options import CURRENT_URL, AsJson, Job, Limit, Url
from tuner.cli.output import format_device_time, format_span, say, short_id, show, show_json, show_rich
from tuner.cli.request import Table, service_command
from tuner.cli.workloads import NO_WORKER, has_worker
from tuner.jobs.attempts import attempts_in_words
from tuner.jobs.states import JobState, is_terminal

if TYPE_CHECKING:
    from tuner.api.jobs import JobDetail, JobSummary
    from tuner.client import Client
    from tuner.jobs.records import QueueEntry

Sort = Literal["newest", "oldest", "cost", "finished"]
"""`tuner.jobs.progress.JobSort`, spelled out: its import takes too long for a help text."""

_JOBS: Table[JobSummary] = Table(
    columns={
        "ID": lambda job: short_id(job.id),
        "STATE": lambda job: job.state.value,
        "PROGRESS": lambda job: _progress(job),
        "RECOMMENDED": lambda job: "" if job.best is None else job.metric.text(job.best.value),
        "AGE": lambda job: format_span(job.age_seconds),
        "WORKLOAD": lambda job: job.workload,
        "TEAM": lambda job: job.team,
        "OWNER": lambda job: job.owner,
        "NAME": lambda job: job.name,
    },
    empty="No such jobs. `tuner submit` adds one.",
    details=frozenset({"TEAM", "OWNER"}),
)


def _progress(job: JobSummary) -> str:
    """``"45 % of 10 runs, 3 min left"``; once it has finished, what it spent: ``"9.2 of 10 runs"``."""
    if is_terminal(job.state):
        return f"{job.full_runs_spent:.3g} of {job.budget:g} runs"
    left = "" if job.seconds_left is None else f", {format_span(job.seconds_left)} left"
    return f"{job.fraction * 100:.0f} % of {job.budget:g} runs{left}"


@service_command(_JOBS.print)
def jobs(
    client: Client,
    state: Annotated[
        list[JobState] | None,
        typer.Option("--state", show_default=False, help="Only jobs in this state. Repeatable."),
    ] = None,
    team: Annotated[str | None, typer.Option("--team", show_default=False, help="Only this team's.")] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="USER", show_default=False, help="Only this user's.")
    ] = None,
    workload: Annotated[
        str | None,
        typer.Option(
            "--workload",
            metavar="NAME",
            autocompletion=completion.workloads,
            show_default=False,
            help="Only those on this workload.",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", show_default=False, help="Only those with this in their name, notes, workload or id."),
    ] = None,
    sort: Annotated[
        Sort,
        typer.Option("--sort", help="The first: newest, oldest, of the most device time, or finished last."),
    ] = "newest",
    limit: Limit = 20,
) -> list[JobSummary]:
    """List jobs with progress, recommended result and age.

    PROGRESS is in full runs, the unit of the budget; RECOMMENDED is the expected value of
    what the job recommends so far.

    Examples:
        tuner jobs --state running --state queued
        tuner jobs --workload digits-mlp --limit 5
    """
    from tuner.jobs.progress import JobSort

    found = client.job_summaries(
        states=state or (), team=team, owner=owner, workload=workload, text=text, sort=JobSort(sort)
    )
    return list(islice(found, limit))


def show_job(job: Job, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Show one job: its progress, its place in the queue, its trials.

    Example:
        tuner show latest
    """
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job_id = find_job(client, text=job)
        detail, trials, runs = client.job(job_id), client.trials(job_id), client.runs(job_id) if as_json else ()
        is_open = not is_terminal(detail.state)
        entry = queue_entry(client, job_id=job_id) if is_open else None
        lacks_worker = is_open and not has_worker(client)
    if lacks_worker:
        say(NO_WORKER)
    if as_json:
        show_json({"job": detail, "trials": trials, "runs": runs})
        return
    from tuner.cli.jobs.live import screen

    show_rich(screen(detail))
    show(describe_job(detail, queue_entry=entry, address=client.url))
    if trials:
        show("")
        TRIALS.print(trials)


def queue_entry(client: Client, *, job_id: str) -> QueueEntry | None:
    """The job's entry in the queue; ``None`` where it has none."""
    return next((entry for entry in client.queue() if entry.job_id == job_id), None)


def describe_job(job: JobDetail, *, queue_entry: QueueEntry | None, address: str) -> str:
    """A job's owner, its place in the queue, its limits and its notes, one a line.

    Args:
        job: The job.
        queue_entry: Its entry in the queue; ``None`` once it has finished.
        address: Of the service.
    """
    spec = job.spec
    shared = ", shared with all teams" if spec.shared else ""
    lines = [
        f"Owner {job.owner}, team {spec.team}{shared}; priority {spec.priority.value}; "
        f"{format_device_time(job.device_seconds)} of device time"
    ]
    if queue_entry is not None and queue_entry.reason:
        lines.append(f"Queue: {queue_entry.reason}")
    if job.limit_reached is not None:
        lines.append(f"Limit reached: {job.limit_reached}")
    if job.failed_attempts or job.lost_attempts:
        counts = attempts_in_words(failed=job.failed_attempts, lost=job.lost_attempts)
        lines.append(f"Attempts at its runs: {counts} (lost ones are the machines' and not the workload's)")
    lines.append(f"Dashboard: {address}{job.links['dashboard']}")
    if job.origin is not None:
        lines.append(f"Cloned from job {job.origin}")
    if spec.notes:
        lines.append(f"Notes: {spec.notes}")
    return "\n".join(lines)
