"""``tuner jobs``, ``tuner show``: list jobs, show one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.job_ids import find_job
from tuner.cli.options import CURRENT_URL, AsJson, Job, Limit, Url
from tuner.cli.output import format_device_time, say, short_id, show, show_json, show_rich, show_table
from tuner.cli.request import Table, service_command
from tuner.cli.workloads import NO_WORKER, has_worker
from tuner.jobs.attempts import attempts_in_words
from tuner.jobs.states import JobState, RunState, is_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuner.api.jobs import JobDetail, JobView, TrialView
    from tuner.api.runs import RunView
    from tuner.client import Client
    from tuner.jobs.records import QueueEntry

_JOBS: Table[JobView] = Table(
    columns={
        "ID": lambda job: short_id(job.id),
        "STATE": lambda job: job.state.value,
        "TEAM": lambda job: job.spec.team,
        "OWNER": lambda job: job.owner,
        "WORKLOAD": lambda job: job.spec.workload,
        "BUDGET": lambda job: f"{job.spec.search.budget:g}",
        "SPENT": lambda job: f"{(job.updates_spent + job.updates_saved) / job.spec.search.total_steps:.3g}",
        "NAME": lambda job: job.spec.name,
    },
    empty="No such jobs. `tuner submit` adds one.",
)


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
        str | None, typer.Option("--workload", metavar="NAME", show_default=False, help="Only those on this workload.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", show_default=False, help="Only those with this in their name, notes, workload or id."),
    ] = None,
    limit: Limit = 20,
) -> list[JobView]:
    """List jobs, the latest first.

    Examples:
        tuner jobs --state running --state queued
        tuner jobs --workload digits-mlp --limit 5
    """
    found = client.jobs(states=state or (), team=team, owner=owner, workload=workload, text=text)
    return list(islice(found, limit))


def show_job(job: Job, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Show one job: its progress, its place in the queue, its trials.

    Example:
        tuner show latest
    """
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job_id = find_job(client, text=job)
        detail, trials, runs = client.job(job_id), client.trials(job_id), client.runs(job_id)
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
        show_table(("TRIAL", "STATE", "RESULTS", "SCHEDULE"), _trial_rows(trials, runs=runs))


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


def _trial_rows(trials: Sequence[TrialView], *, runs: Sequence[RunView]) -> list[tuple[str, ...]]:
    results: dict[int, list[str]] = {}
    for run in runs:
        if run.value is not None:
            results.setdefault(run.trial_number, []).append(run.metric.text(run.value))
        elif run.state in {RunState.DIVERGED, RunState.STOPPED}:
            results.setdefault(run.trial_number, []).append(run.state.value)
    return [
        (
            str(trial.number),
            trial.state.value,
            "  ".join(results.get(trial.number, ())),
            trial.configuration.label + (f" ({trial.role})" if trial.role else ""),
        )
        for trial in trials
    ]
