"""``tuner jobs``, ``tuner show``, ``tuner cancel``, ``tuner report``: what became of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.fleet import NO_WORKER, has_worker
from tuner.cli.naming import find_job
from tuner.cli.options import DEFAULT_URL, AsJson, Job, Url
from tuner.cli.output import say, show, show_json, show_table
from tuner.jobs.states import JobState, is_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuner.jobs.records import RunRecord, TrialRecord
    from tuner.report.report import Report


def jobs(
    state: Annotated[
        list[JobState] | None,
        typer.Option("--state", show_default=False, help="Only jobs in this state. Repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List jobs, the latest first."""
    from itertools import islice

    from tuner.client import Client

    with Client(url) as client:
        found = list(islice(client.jobs(states=state or ()), limit))
    if as_json:
        show_json(found)
    elif not found:
        say("No jobs. `tuner submit` adds one.")
    else:
        show_table(
            ("ID", "STATE", "WORKLOAD", "TRIALS", "UPDATES", "NAME"),
            [
                (
                    job.id,
                    job.state.value,
                    job.spec.workload,
                    str(job.spec.search.trials),
                    f"{job.updates_spent:,}",
                    job.spec.name,
                )
                for job in found
            ],
        )


def show_job(job: Job, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show one job: how far it is, and its trials."""
    from tuner.client import Client

    with Client(url) as client:
        job_id = find_job(client, text=job)
        detail, trials, runs = client.job(job_id), client.trials(job_id), client.runs(job_id)
        is_waiting = not is_over(detail.state) and not has_worker(client)
    if is_waiting:
        say(NO_WORKER)
    if as_json:
        show_json({"job": detail, "trials": trials, "runs": runs})
        return
    from rich.console import Console

    from tuner.cli.live import screen

    Console(highlight=False).print(screen(detail))
    if trials:
        show("")
        show_table(("TRIAL", "STATE", "LOSS PER RUNG", "SCHEDULE"), _trial_rows(trials, runs=runs))


def cancel(
    job: Job,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the job.")] = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Stop a job; what it has found so far is kept."""
    from tuner.client import Client

    with Client(url) as client:
        job_id = find_job(client, text=job)
        cancelled = client.cancel(job_id, reason=reason)
    if as_json:
        show_json(cancelled)
    else:
        say(f"Cancelled job {job_id}.")


def report(
    job: Job,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", show_default=False, help="Write the files of the report there, too."),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show the answer of a finished job."""
    from tuner.client import Client

    with Client(url) as client:
        answer = client.report(find_job(client, text=job))
    if as_json:
        show_json(answer)
    else:
        show_report(answer)
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
            trial.schedule.label + (f" ({trial.control} control)" if trial.control else ""),
        )
        for trial in trials
    ]
