"""``tuner trials``, ``tuner runs``, ``tuner logs``, ``tuner events``: what a job is made of, and what happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.failures import ExitCode
from tuner.cli.job_ids import find_job
from tuner.cli.options import CURRENT_URL, AsJson, Job, Url
from tuner.cli.output import moment, say, show, show_json, show_table
from tuner.jobs.states import RunState

if TYPE_CHECKING:
    from tuner.jobs.records import EventRecord

_QUIET_SECONDS = 2.0  # nothing more for so long: that was all so far


def trials(job: Job, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List a job's trials: one schedule each, and what became of it."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        found = client.trials(find_job(client, text=job))
    if as_json:
        show_json(found)
    elif not found:
        say("No trials yet.")
    else:
        show_table(
            ("TRIAL", "STATE", "CONTROL", "SCHEDULE", "WHY"),
            [
                (
                    str(trial.number),
                    trial.state.value,
                    trial.control or "",
                    trial.configuration.label,
                    _line(trial.reason),
                )
                for trial in found
            ],
        )


def runs(
    job: Job,
    trial: Annotated[
        int | None, typer.Option("--trial", metavar="NUMBER", min=0, show_default=False, help="Only this trial's.")
    ] = None,
    state: Annotated[
        RunState | None, typer.Option("--state", show_default=False, help="Only those in this state.")
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """List a job's runs: one training each."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        found = client.runs(find_job(client, text=job), trial=trial, state=state)
    if as_json:
        show_json(found)
    elif not found:
        say("No runs.")
    else:
        show_table(
            ("RUN", "TRIAL", "KIND", "STATE", "UPDATES", "LOSS", "DEVICE TIME", "WORKER"),
            [
                (
                    run.id,
                    str(run.trial_number),
                    run.kind.value,
                    run.state.value,
                    f"{run.step:,} of {run.total_steps:,}",
                    "" if run.loss is None else f"{run.loss:.4f}",
                    f"{run.device_seconds:,.0f} s",
                    run.worker or "",
                )
                for run in found
            ],
        )


def logs(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as `tuner runs` lists it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until the run is over.")] = False,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            metavar="SEQ",
            min=0,
            show_default=False,
            help="Only what came after this piece, as --json numbers them; all when absent.",
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Print what a run's code printed. With --json, each piece is one line of JSON."""
    from tuner.client import Client

    silent = True
    with Client.from_profile(url) as client:
        try:
            for chunk in client.log_chunks(run, after=after, follow=follow):
                silent = False
                if as_json:
                    show(json.dumps(vars(chunk), ensure_ascii=False))
                else:
                    typer.echo(chunk.text, nl=False)
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    if silent:
        say("The run has printed nothing.")


def events(
    job: Annotated[str, typer.Option("--job", metavar="JOB", show_default=False, help="Only this job's.")] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more until Ctrl-C or the job's end.")
    ] = False,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            metavar="ID",
            min=0,
            show_default=False,
            help="Only those after this one; all when absent, or what comes from now on with --follow and no --job.",
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Tell what happened to jobs, the oldest first. With --json, each event is one line of JSON."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job_id = find_job(client, text=job) if job else None
        try:
            start = 0 if after is None and not follow else after
            for event in client.events(job_id, after=start, quiet=None if follow else _QUIET_SECONDS):
                show(json.dumps(vars(event), ensure_ascii=False) if as_json else _event_line(event))
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None


def _event_line(event: EventRecord) -> str:
    from tuner.cli.jobs.event_text import describe_event

    words = describe_event(event, rungs=()) or event.kind
    return f"{event.id}  {moment(event.at)}  job {event.job_id[:8]}  {words}"


def _line(text: str) -> str:
    """The first line of a text."""
    return text.strip().split("\n", 1)[0]
