"""``tuner workers``: who does the work, and what they are told about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import ago, say, show_json, show_table
from tuner.cli.workloads import NO_WORKER

if TYPE_CHECKING:
    from tuner.jobs.records import WorkerRecord

_BYTES_PER_GIB = 2**30

app = typer.Typer(help="The workers.", invoke_without_command=True, rich_markup_mode=None)

Worker = Annotated[str, typer.Argument(metavar="WORKER", help="Its name, as `tuner workers` lists it.")]


@app.callback()
def workers(context: typer.Context, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List the workers, those included that went silent without leaving."""
    if context.invoked_subcommand is not None:
        return
    from tuner.client import Client

    with Client.from_profile(url) as client:
        known = client.workers()
    if as_json:
        show_json(known)
        return
    if known:
        now = time.time()
        show_table(
            ("WORKER", "DEVICE", "MODEL", "MEMORY", "STATE", "RUNS", "FOR TEAM", "LAST HEARD OF", "WORKLOADS"),
            [_row(worker, now=now) for worker in known],
        )
    if not any(worker.alive for worker in known):
        say(NO_WORKER)


@app.command()
def drain(worker: Worker, url: Url = CURRENT_URL) -> None:
    """Let a worker end the run that it has, and take no further one."""
    _change(worker, url=url, change={"draining": True}, done="ends what it has and takes nothing more")


@app.command()
def undrain(worker: Worker, url: Url = CURRENT_URL) -> None:
    """Let a drained worker take runs again."""
    _change(worker, url=url, change={"draining": False}, done="takes runs again")


@app.command()
def reserve(
    worker: Worker,
    team: Annotated[
        str, typer.Argument(metavar="[TEAM]", show_default=False, help="The team; everybody when absent.")
    ] = "",
    url: Url = CURRENT_URL,
) -> None:
    """Keep a worker for the jobs of one team."""
    whose = f"team {team}" if team else "everybody"
    _change(worker, url=url, change={"reserved_for": team or None}, done=f"takes the jobs of {whose}")


@app.command()
def forget(worker: Worker, url: Url = CURRENT_URL) -> None:
    """Take a worker that is gone off the list."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        client.forget_worker(worker)
    say(f"Worker {worker} is forgotten.")


def _change(worker: str, *, url: str, change: dict[str, Any], done: str) -> None:
    from tuner.client import Client

    with Client.from_profile(url) as client:
        client.set_worker(worker, **change)
    say(f"Worker {worker} {done}.")


def _row(worker: WorkerRecord, *, now: float) -> tuple[str, ...]:
    memory = "" if worker.memory_bytes is None else f"{worker.memory_bytes / _BYTES_PER_GIB:.0f} GiB"
    state = "silent" if not worker.alive else "draining" if worker.draining else "alive"
    return (
        worker.name,
        worker.device,
        worker.device_model,
        memory,
        state,
        str(len(worker.runs)),
        worker.reserved_for or "",
        f"{ago(now - worker.heartbeat_at)} ago",
        ", ".join(worker.workloads),
    )
