"""``tuner workers``: list workers, drain them, reserve them for a team."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli import completion
from tuner.cli.help import App
from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import format_span, say, show_json
from tuner.cli.request import Table, request
from tuner.cli.workloads import NO_WORKER

if TYPE_CHECKING:
    from tuner.jobs.records import WorkerRecord

_BYTES_PER_GIB = 2**30

app = App(invoke_without_command=True)

Worker = Annotated[
    str,
    typer.Argument(metavar="WORKER", autocompletion=completion.workers, help="Its name, as `tuner workers` lists it."),
]


_WORKERS: Table[WorkerRecord] = Table(
    columns={
        "WORKER": lambda worker: worker.name,
        "DEVICE": lambda worker: worker.device,
        "MODEL": lambda worker: worker.device_model,
        "MEMORY": lambda worker: (
            "" if worker.memory_bytes is None else f"{worker.memory_bytes / _BYTES_PER_GIB:.0f} GiB"
        ),
        "STATE": lambda worker: "lost" if not worker.alive else "draining" if worker.draining else "alive",
        "RUNS": lambda worker: str(len(worker.runs)),
        "FOR TEAM": lambda worker: worker.reserved_for or "",
        "LAST HEARTBEAT": lambda worker: f"{format_span(time.time() - worker.heartbeat_at)} ago",
        "WORKLOADS": lambda worker: ", ".join(worker.workloads),
    }
)


@app.callback()
def workers(context: typer.Context, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List the workers, or change one.

    The list includes workers that stopped without leaving.

    Examples:
        tuner workers
        tuner workers drain gpu1-cuda0
    """
    if context.invoked_subcommand is not None:
        return
    known = request(lambda client: client.workers(), url=url)
    if as_json:
        show_json(known)
        return
    _WORKERS.print(known)
    if not any(worker.alive for worker in known):
        say(NO_WORKER)


@app.command()
def drain(worker: Worker, url: Url = CURRENT_URL) -> None:
    """Drain a worker: it ends its run and takes no other.

    Example:
        tuner workers drain gpu1-cuda0
    """
    _change(worker, url=url, change={"draining": True}, done="ends its run and takes no other")


@app.command()
def undrain(worker: Worker, url: Url = CURRENT_URL) -> None:
    """Undo a drain: the worker takes runs again.

    Example:
        tuner workers undrain gpu1-cuda0
    """
    _change(worker, url=url, change={"draining": False}, done="takes runs again")


@app.command()
def reserve(
    worker: Worker,
    team: Annotated[
        str, typer.Argument(metavar="TEAM", autocompletion=completion.teams, show_default="everybody", help="The team.")
    ] = "",
    url: Url = CURRENT_URL,
) -> None:
    """Reserve a worker for the jobs of one team.

    Examples:
        tuner workers reserve gpu1-cuda0 vision
        tuner workers reserve gpu1-cuda0
    """
    users = f"team {team}" if team else "everybody"
    _change(worker, url=url, change={"reserved_for": team or None}, done=f"takes the jobs of {users}")


@app.command()
def forget(worker: Worker, url: Url = CURRENT_URL) -> None:
    """Remove a worker that is gone from the list.

    Example:
        tuner workers forget gpu1-cuda0
    """
    request(lambda client: client.forget_worker(worker), url=url)
    say(f"Worker {worker} is removed from the list.")


def _change(worker: str, *, url: str, change: dict[str, Any], done: str) -> None:
    request(lambda client: client.set_worker(worker, **change), url=url)
    say(f"Worker {worker} {done}.")
