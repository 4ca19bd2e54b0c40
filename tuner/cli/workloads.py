"""``tuner workloads``: list the workloads that the workers offer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli import completion
from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show, show_json, show_table
from tuner.cli.request import request
from tuner.errors import NotFound

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.jobs.records import WorkloadInfo

NO_WORKER = "No worker is alive: start one with `tuner worker`."


def has_worker(client: Client) -> bool:
    """Whether a worker is alive."""
    return any(worker.alive for worker in client.workers())


def workloads(
    name: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD",
            autocompletion=completion.workloads,
            show_default=False,
            help="Show this workload with its options.",
        ),
    ] = "",
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """List the workloads that the workers offer, or show one.

    Examples:
        tuner workloads
        tuner workloads digits-mlp
    """
    offered = sorted(request(lambda client: client.workloads(), url=url), key=lambda info: info.name)
    if name:
        chosen = next((info for info in offered if info.name == name), None)
        if chosen is None:
            known = ", ".join(info.name for info in offered) or "none: no worker has announced any yet"
            raise NotFound("workload", key=name, hint=f"Offered: {known}")
        if as_json:
            show_json(chosen)
        else:
            describe(chosen)
    elif as_json:
        show_json(offered)
    elif not offered:
        say("No worker has announced a workload yet. `tuner worker` starts one, which takes some seconds.")
    else:
        rows = [(info.name, f"{info.default_steps:,}", info.description) for info in offered]
        show_table(("WORKLOAD", "UPDATES", "DESCRIPTION"), rows)


def describe(info: WorkloadInfo) -> None:
    """Print a workload with its options."""
    from tuner.validation import limits_of

    show(f"{info.name} (version {info.version}, {info.level.value}): {info.description}")
    show(f"Full training run: {info.default_steps:,} updates, unless the job says otherwise.\n")
    options: dict[str, dict[str, Any]] = info.options_schema.get("properties", {})
    if options:
        show_table(
            ("OPTION", "DEFAULT", "ALLOWED", "DESCRIPTION"),
            [
                (name, _as_written(schema.get("default", "")), limits_of(schema), schema.get("description", ""))
                for name, schema in options.items()
            ],
        )


def _as_written(value: Any) -> str:
    """A value as ``--option`` takes it."""
    return value if isinstance(value, str) else json.dumps(value)
