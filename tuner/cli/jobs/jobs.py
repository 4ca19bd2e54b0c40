"""``tuner jobs``, ``tuner show``, ``tuner report``: what became of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.job_ids import find_job
from tuner.cli.options import CURRENT_URL, AsJson, Job, Limit, Url
from tuner.cli.output import hours, say, show, show_json, show_table
from tuner.cli.workloads import NO_WORKER, has_worker
from tuner.errors import InvalidValue
from tuner.jobs.states import JobState, is_terminal
from tuner.report.pages.formats import ReportFormat, rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuner.jobs.progress import JobDetail
    from tuner.jobs.records import QueueEntry, RunRecord, TrialRecord
    from tuner.report.report import Report


def jobs(
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
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """List jobs, the latest first."""
    from itertools import islice

    from tuner.client import Client

    with Client.from_profile(url) as client:
        filters = {"team": team, "owner": owner, "workload": workload, "text": text}
        found = list(islice(client.jobs(states=state or (), **filters), limit))
    if as_json:
        show_json(found)
    elif not found:
        say("No such jobs." if state or any(filters.values()) else "No jobs. `tuner submit` adds one.")
    else:
        show_table(
            ("ID", "STATE", "TEAM", "OWNER", "WORKLOAD", "TRIALS", "UPDATES", "NAME"),
            [
                (
                    job.id,
                    job.state.value,
                    job.spec.team,
                    job.owner,
                    job.spec.workload,
                    str(job.spec.search.trials),
                    f"{job.updates_spent:,}",
                    job.spec.name,
                )
                for job in found
            ],
        )


def show_job(job: Job, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Show one job: how far it is, and its trials."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job_id = find_job(client, text=job)
        detail, trials, runs = client.job(job_id), client.trials(job_id), client.runs(job_id)
        is_open = not is_terminal(detail.state)
        place = next((entry for entry in client.queue() if entry.job_id == job_id), None) if is_open else None
        is_waiting = is_open and not has_worker(client)
    if is_waiting:
        say(NO_WORKER)
    if as_json:
        show_json({"job": detail, "trials": trials, "runs": runs})
        return
    from rich.console import Console

    from tuner.cli.jobs.live import screen

    console = Console(highlight=False)
    console.print(screen(detail))
    console.print(about(detail, place=place, address=client.url), markup=False, soft_wrap=True)
    if trials:
        show("")
        show_table(("TRIAL", "STATE", "LOSS PER RUNG", "SCHEDULE"), _trial_rows(trials, runs=runs))


def report(
    job: Job,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", show_default=False, help="Write the files of the report there, too."),
    ] = None,
    format: Annotated[
        ReportFormat | None,
        typer.Option("--format", show_default=False, help="Print it as JSON, as Markdown, or as one HTML page."),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Show the answer of a finished job."""
    from tuner.client import Client

    if as_json and format not in (None, ReportFormat.JSON):
        raise InvalidValue("--format", value=format, allowed="json, or absent, with --json")
    with Client.from_profile(url) as client:
        answer = client.report(find_job(client, text=job))
    wanted = ReportFormat.JSON if as_json else format
    if wanted is None:
        show_report(answer)
    else:
        show(rendered(answer, format=wanted).rstrip("\n"))
    if output is not None:
        write_files(answer, folder=output)


def show_report(answer: Report) -> None:
    """Print an answer on standard output."""
    from rich.console import Console

    from tuner.report.terminal import render

    Console(highlight=False).print(render(answer))


def write_files(answer: Report, *, folder: Path) -> None:
    """Write the files of an answer, and name them on standard error."""
    from tuner.report.files import write_report

    written = write_report(answer, folder)
    say("\n".join([f"Wrote to {folder}:", *(f"  {path.name}" for path in written)]))


def about(job: JobDetail, *, place: QueueEntry | None, address: str) -> str:
    """Whose a job is, where it stands in the queue, and what people noted about it, in lines.

    Args:
        job: The job.
        place: Where it stands; ``None`` once it is over.
        address: Of the service.
    """
    spec = job.spec
    shared = ", shared with all teams" if spec.shared else ""
    lines = [
        f"Of {job.owner}, team {spec.team}{shared}; priority {spec.priority.value}; "
        f"{hours(job.device_seconds)} of device time"
    ]
    if place is not None and place.reason:
        lines.append(f"Queue: {place.reason}")
    if job.limit_reached is not None:
        lines.append(f"Limit reached: {job.limit_reached}")
    lines.append(f"Dashboard: {address}{job.links['dashboard']}")
    if job.origin is not None:
        lines.append(f"Cloned from job {job.origin}")
    if spec.notes:
        lines.append(f"Notes: {spec.notes}")
    return "\n".join(lines)


def _trial_rows(trials: Sequence[TrialRecord], *, runs: Sequence[RunRecord]) -> list[tuple[str, ...]]:
    from tuner.jobs.records import RunKind
    from tuner.jobs.states import RunState

    losses: dict[int, dict[int, str]] = {}
    for run in runs:
        if run.kind is RunKind.RUNG and run.state in {RunState.SUCCEEDED, RunState.DIVERGED}:
            losses.setdefault(run.trial_number, {})[run.rung] = "diverged" if run.loss is None else f"{run.loss:.4f}"
    return [
        (
            str(trial.number),
            trial.state.value,
            "  ".join(loss for _, loss in sorted(losses.get(trial.number, {}).items())),
            trial.configuration.label + (f" ({trial.control} control)" if trial.control else ""),
        )
        for trial in trials
    ]
