"""``tuner submit``: ask the service for a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.fleet import NO_WORKER, has_worker
from tuner.cli.given import assignments, document
from tuner.cli.options import DEFAULT_URL, AsJson, Url
from tuner.cli.output import say, show, show_json
from tuner.errors import InvalidValue
from tuner.jobs.priority import Priority

if TYPE_CHECKING:
    from tuner.jobs.progress import JobDetail


def submit(
    workload: Annotated[
        str, typer.Argument(metavar="[WORKLOAD]", show_default=False, help="As `tuner workloads` lists them.")
    ] = "",
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", "-o", metavar="NAME=VALUE", show_default=False, help="An option of the workload. Repeatable."
        ),
    ] = None,
    total_steps: Annotated[
        int | None,
        typer.Option(
            "--total-steps", metavar="UPDATES", help="Length of a full training run; the workload's own when absent."
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option("--trials", help="Schedules to try, the controls included.")] = None,
    max_updates: Annotated[
        int | None, typer.Option("--max-updates", metavar="UPDATES", help="Upper limit for the whole job.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the search and of its runs.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What people call the job.")] = None,
    team: Annotated[str | None, typer.Option("--team", metavar="TEXT", help="The team it belongs to.")] = None,
    priority: Annotated[Priority | None, typer.Option("--priority", help="A higher class goes first.")] = None,
    spec: Annotated[
        str,
        typer.Option(
            "--spec",
            metavar="FILE|-",
            show_default=False,
            help="The request as JSON, as `POST /v1/jobs` takes it; other options go over what it says.",
        ),
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay and watch it, as `tuner watch` does.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Submit a tuning job; prints its id on standard output.

    Only the workload must be given. The service checks everything else and fills in what is left out.
    """
    from tuner.client import Client

    if watch and as_json:
        raise InvalidValue("--json", value="with --watch", allowed="given without --watch")
    request = merged(
        document(spec, option="--spec") if spec else {},
        top={"workload": workload or None, "name": name, "team": team, "priority": priority},
        options=assignments(option or (), option="--option"),
        search={"total_steps": total_steps, "trials": trials, "max_updates": max_updates, "seed": seed},
    )
    if "workload" not in request:
        raise InvalidValue("WORKLOAD", value="", allowed="given", hint="`tuner workloads` lists them")
    with Client(url) as client:
        job = client.submit(request)
        if not watch:
            _tell(job, as_json=as_json)
            if not has_worker(client):
                say(NO_WORKER)
            return
    from tuner.cli.watch import follow_to_the_end

    say(f"Submitted job {job.id}.")
    follow_to_the_end(url, job_id=job.id)


def _tell(job: JobDetail, *, as_json: bool) -> None:
    if as_json:
        show_json(job)
    else:
        show(job.id)
        say(f"Submitted. `tuner watch {job.id[:8]}` follows it.")


def merged(
    document: Mapping[str, Any],
    *,
    top: Mapping[str, Any],
    options: Mapping[str, Any],
    search: Mapping[str, Any],
) -> dict[str, Any]:
    """A request: the document, overlaid by what the command line gives.

    Args:
        document: The request as JSON; may be empty. Parts of a wrong type are left for the service to refuse.
        top: Fields of the request itself; ``None`` is not given.
        options: The workload's options.
        search: Fields of its search settings; ``None`` is not given.
    """
    request = {**document, **_given(top)}
    for field, values in (("options", options), ("search", _given(search))):
        present = request.get(field, {})
        if values and isinstance(present, Mapping):
            request[field] = {**present, **values}
    return request


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
