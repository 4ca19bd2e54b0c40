"""``tuner submit``: submit a tuning job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tuner.cli.jobs.control import (
    Budget,
    DeviceHours,
    Name,
    Notes,
    Patience,
    PriorityClass,
    Shared,
    Target,
    Trials,
    WallHours,
    show_submitted,
)
from tuner.cli.jobs.incumbent import read_incumbent
from tuner.cli.jobs.jobs import queue_entry
from tuner.cli.jobs.price import print_price
from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show_json
from tuner.cli.parsing import (
    parse_assignments,
    parse_budget,
    parse_limits,
    parse_ranges,
    parse_share,
    read_document,
)
from tuner.cli.request import request
from tuner.cli.workloads import NO_WORKER, has_worker
from tuner.errors import InvalidValue

if TYPE_CHECKING:
    from tuner.client import Client


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
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="NAME=RANGE",
            show_default=False,
            help="Search this option along with the schedule: LOW..HIGH, LOW..HIGH:log, or ONE,OTHER. Repeatable.",
        ),
    ] = None,
    total_steps: Annotated[
        int | None,
        typer.Option(
            "--total-steps", metavar="UPDATES", help="Length of a full training run; the workload's own when absent."
        ),
    ] = None,
    budget: Budget = None,
    incumbent: Annotated[
        str,
        typer.Option(
            "--incumbent",
            metavar="SCHEDULE",
            show_default=False,
            help="The schedule that is used today: a JSON file, a finished job, or as in "
            "cosine,peak-lr=3e-4,warmup=5%. Nothing worse is recommended.",
        ),
    ] = "",
    worth: Annotated[
        str | None,
        typer.Option(
            "--worth",
            metavar="SHARE",
            show_default=False,
            help="The gain from which a change of schedule is worth it, in training updates; 5% when absent.",
        ),
    ] = None,
    trials: Trials = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", show_default=False, help="Most seeds of one schedule; 10 when absent."),
    ] = None,
    no_prune: Annotated[
        bool, typer.Option("--no-prune", help="Train every run to its end, however its forecast looks.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", show_default=False, help="Seed of the search and of its runs; a new one when absent."),
    ] = None,
    name: Name = None,
    notes: Notes = None,
    team: Annotated[
        str | None, typer.Option("--team", metavar="TEAM", help="The team it belongs to; yours when absent.")
    ] = None,
    shared: Shared = None,
    priority: PriorityClass = None,
    longer: Annotated[
        float | None,
        typer.Option("--longer", metavar="TIMES", help="Let the report predict for a run this many times as long."),
    ] = None,
    device: Annotated[
        Literal["any", "cpu", "cuda"] | None, typer.Option("--device", help="Kind of device to train on.")
    ] = None,
    devices: Annotated[int | None, typer.Option("--devices", help="Devices that each run needs.")] = None,
    memory_gib: Annotated[
        float | None, typer.Option("--memory-gib", metavar="GIB", help="Memory that each device must have.")
    ] = None,
    device_hours: DeviceHours = None,
    wall_hours: WallHours = None,
    target: Target = None,
    patience: Patience = None,
    spec: Annotated[
        str,
        typer.Option(
            "--spec",
            metavar="FILE|-",
            show_default=False,
            help="The job as a JSON document (docs/api.md); other options override its fields.",
        ),
    ] = "",
    origin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="JOB",
            show_default=False,
            help="Warm start from a completed job: its workload, options and space, its best schedules first.",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Submit nothing; show the most it can cost, or why it would be refused.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow the job to its end, like `tuner watch`.")
    ] = False,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Submit a tuning job; prints its id on standard output.

    Only the workload is required. The service checks the request and fills in the defaults.
    """
    if watch and (as_json or dry_run):
        other = "--json" if as_json else "--dry-run"
        raise InvalidValue(other, value="with --watch", allowed="given without --watch")
    limits = {"device_hours": device_hours, "wall_hours": wall_hours, "target": target, "patience": patience}
    top = {"workload": workload or None, "name": name, "notes": notes, "team": team, "shared": shared, "longer": longer}
    given_options = parse_assignments(option or (), option="--option")
    varied = parse_ranges(vary or (), option="--vary")
    search = _without_none(
        {
            "total_steps": total_steps,
            "budget": parse_budget(budget),
            "worth": parse_share(worth, option="--worth"),
            "seeds": seeds,
            "seed": seed,
            "prune": False if no_prune else None,
            "incumbent": read_incumbent(incumbent, url=url, total_steps=total_steps) if incumbent else None,
        }
    ) | parse_limits({"trials": trials})
    base = _warm_start(origin, url=url, options=given_options, total_steps=total_steps) if origin else {}
    body = merge_request(
        {**base, **(read_document(spec, option="--spec") if spec else {})},
        top=_without_none(top | {"priority": priority}),
        parts={
            "options": given_options,
            "search": search | ({"options": varied} if varied else {}),
            "resources": _without_none({"device": device, "devices": devices, "memory_gib": memory_gib}),
            "limits": parse_limits(limits),
        },
    )
    if "workload" not in body:
        raise InvalidValue("WORKLOAD", allowed="given", hint="`tuner workloads` lists them")
    if dry_run:
        print_price(body, url=url, as_json=as_json)
        return
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job = client.submit(body)
        notice = "" if watch else _waiting_reason(client, job_id=job.id)
    if watch:
        from tuner.cli.jobs.watch import follow_to_the_end

        say(f"Submitted job {job.id}.")
        follow_to_the_end(url, job_id=job.id)
        return
    if as_json:
        show_json(job)
    else:
        show_submitted(job)
    if notice:
        say(notice)


def _waiting_reason(client: Client, *, job_id: str) -> str:
    if not has_worker(client):
        return NO_WORKER
    entry = queue_entry(client, job_id=job_id)
    return "" if entry is None else f"Queue: {entry.reason}."


def _warm_start(origin: str, *, url: str, options: Mapping[str, Any], total_steps: int | None) -> dict[str, Any]:
    from tuner.cli.job_ids import find_job
    from tuner.cli.jobs.warm_start import FollowUp, follow_up

    def read(client: Client) -> FollowUp:
        job = client.job(find_job(client, text=origin))
        return follow_up(job, report=client.report(job.id), options=options, total_steps=total_steps)

    found = request(read, url=url)
    for note in found.notes:
        say(note)
    return found.request


def merge_request(
    document: Mapping[str, Any], *, top: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The document of a job, with the values of the command line in place of its own.

    Args:
        document: The job as JSON; may be empty. Parts of a wrong type stay: the service refuses them.
        top: Top-level fields.
        parts: Fields of its parts, by the part's name: ``"options"``, ``"search"``, ...
    """
    request = {**document, **top}
    for name, values in parts.items():
        present = request.get(name, {})
        if values and isinstance(present, Mapping):
            request[name] = {**present, **values}
    return request


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
