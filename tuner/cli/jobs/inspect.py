"""``tuner trials``, ``tuner runs``, ``tuner logs``, ``tuner events``: the parts of a job, their output and events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli import completion
from tuner.cli.failures import ExitCode
from tuner.cli.ids import find_job, find_run
from tuner.cli.jobs.trials import TRIALS
from tuner.cli.options import CURRENT_URL, AsJson, Job, Url
from tuner.cli.output import format_time, say, short_id, show
from tuner.cli.request import Table, service_command
from tuner.jobs.attempts import attempts_in_words
from tuner.jobs.states import RunState

if TYPE_CHECKING:
    from tuner.api.jobs import TrialView
    from tuner.api.runs import RunView
    from tuner.client import Client
    from tuner.jobs.records import EventRecord

_QUIET_SECONDS = 2.0  # without --follow, the list ends when no event has come for this long


_RUNS: Table[RunView] = Table(
    columns={
        "RUN": lambda run: short_id(run.id),
        "TRIAL": lambda run: str(run.trial_number),
        "SEED": lambda run: str(run.seed),
        "STATE": lambda run: run.state.value,
        "UPDATES": lambda run: f"{run.step:,} of {run.total_steps:,}",
        "ATTEMPTS": lambda run: attempts_in_words(run.attempts, failed=run.failed_attempts, lost=run.lost_attempts),
        "RESULT": lambda run: "" if run.value is None else run.metric.text(run.value),
        "DEVICE TIME": lambda run: f"{run.device_seconds:,.0f} s",
        "WORKER": lambda run: run.worker or "",
    },
    empty="No such runs.",
    details=frozenset({"ATTEMPTS", "WORKER"}),
)


@service_command(TRIALS.print)
def trials(client: Client, job: Job) -> tuple[TrialView, ...]:
    """List a job's trials: one schedule each, with its results.

    Example:
        tuner trials latest
    """
    return client.trials(find_job(client, text=job))


@service_command(_RUNS.print)
def runs(
    client: Client,
    job: Job,
    trial: Annotated[
        int | None, typer.Option("--trial", metavar="NUMBER", min=0, show_default=False, help="Only this trial's.")
    ] = None,
    state: Annotated[
        RunState | None, typer.Option("--state", show_default=False, help="Only those in this state.")
    ] = None,
) -> tuple[RunView, ...]:
    """List a job's runs: one training each.

    Examples:
        tuner runs latest
        tuner runs 3f2a91c0 --trial 4 --state failed
    """
    return client.runs(find_job(client, text=job), trial=trial, state=state)


def logs(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", autocompletion=completion.runs, help="Id of the run or its start, as `tuner runs` lists it."
        ),
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until the run has ended.")] = False,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            metavar="SEQ",
            min=0,
            show_default="all",
            help="Only what came after this chunk, as --json numbers them.",
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Print the log of a run: what its code printed.

    With --json, each chunk is one line of JSON.

    Examples:
        tuner logs 8c1f77aa
        tuner logs 8c1f77aa --follow
    """
    from tuner.client import Client

    silent = True
    with Client.from_profile(url) as client:
        try:
            run_id = client.run(find_run(client, text=run)).id  # without a service it ends here, and does not wait
            for chunk in client.log_chunks(run_id, after=after, follow=follow):
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
    job: Annotated[
        str,
        typer.Option(
            "--job", metavar="JOB", autocompletion=completion.jobs, show_default=False, help="Only this job's."
        ),
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more until Ctrl-C or the job's end.")
    ] = False,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            metavar="ID",
            min=0,
            show_default="all; with --follow and no --job, from now on",
            help="Only those after this one.",
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """List the events of jobs, the oldest first.

    With --json, each event is one line of JSON.

    Examples:
        tuner events --job latest
        tuner events --follow
    """
    from tuner.client import Client

    with Client.from_profile(url) as client:
        client.people.me()  # without a service it ends here, and does not wait
        job_id = find_job(client, text=job) if job else None
        try:
            start = 0 if after is None and not follow else after
            for event in client.events(job_id, after=start, quiet=None if follow else _QUIET_SECONDS):
                show(json.dumps(vars(event), ensure_ascii=False) if as_json else _event_line(event))
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None


def _event_line(event: EventRecord) -> str:
    from tuner.cli.jobs.event_text import describe_event

    return f"{event.id}  {format_time(event.at)}  job {event.job_id[:8]}  {describe_event(event)}"
