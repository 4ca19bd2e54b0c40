"""``tuner submit``: ask the service for a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tuner.cli.jobs.control import DeviceHours, Name, Notes, Patience, Shared, TargetLoss, Urgency, WallHours
from tuner.cli.jobs.price import print_price
from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import say, show, show_json
from tuner.cli.parsing import amounts, assignments, document, ranges
from tuner.cli.workloads import NO_WORKER, has_worker
from tuner.errors import InvalidValue

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
    trials: Annotated[int | None, typer.Option("--trials", help="Schedules to try, the controls included.")] = None,
    max_updates: Annotated[
        int | None, typer.Option("--max-updates", metavar="UPDATES", help="Upper limit for the whole job.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the search and of its runs.")] = None,
    name: Name = None,
    notes: Notes = None,
    team: Annotated[
        str | None, typer.Option("--team", metavar="TEAM", help="The team it belongs to; yours when absent.")
    ] = None,
    shared: Shared = None,
    priority: Urgency = None,
    longer: Annotated[
        float | None,
        typer.Option(
            "--longer", metavar="TIMES", help="Have the report tell what holds for a run so many times as long."
        ),
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
    target_loss: TargetLoss = None,
    patience: Patience = None,
    spec: Annotated[
        str,
        typer.Option(
            "--spec",
            metavar="FILE|-",
            show_default=False,
            help="The request as JSON, as `POST /v1/jobs` takes it; other options go over what it says.",
        ),
    ] = "",
    origin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="JOB",
            show_default=False,
            help="Go on from a completed job: its workload, options and space, its best schedules tried first.",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Submit nothing: tell what it would cost, and what would refuse it.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay and watch it, as `tuner watch` does.")] = False,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Submit a tuning job; prints its id on standard output.

    Only the workload must be given. The service checks everything else and fills in what is left out.
    """
    from tuner.client import Client

    if watch and (as_json or dry_run):
        other = "--json" if as_json else "--dry-run"
        raise InvalidValue(other, value="with --watch", allowed="given without --watch")
    limits = {"device_hours": device_hours, "wall_hours": wall_hours, "target_loss": target_loss, "patience": patience}
    top = {"workload": workload or None, "name": name, "notes": notes, "team": team, "shared": shared, "longer": longer}
    given_options = assignments(option or (), option="--option")
    varied = ranges(vary or (), option="--vary")
    base = _going_on_from(origin, url=url, options=given_options, total_steps=total_steps) if origin else {}
    request = merged(
        {**base, **(document(spec, option="--spec") if spec else {})},
        top=_given(top | {"priority": priority}),
        parts={
            "options": given_options,
            "search": _given({"total_steps": total_steps, "trials": trials, "max_updates": max_updates, "seed": seed})
            | ({"options": varied} if varied else {}),
            "resources": _given({"device": device, "devices": devices, "memory_gib": memory_gib}),
            "limits": amounts(limits),
        },
    )
    if "workload" not in request:
        raise InvalidValue("WORKLOAD", allowed="given", hint="`tuner workloads` lists them")
    if dry_run:
        print_price(request, url=url, as_json=as_json)
        return
    with Client.from_profile(url) as client:
        job = client.submit(request)
        if not watch:
            _tell(job, as_json=as_json)
            if not has_worker(client):
                say(NO_WORKER)
            elif (place := next((entry for entry in client.queue() if entry.job_id == job.id), None)) is not None:
                say(f"Queue: {place.reason}.")
            return
    from tuner.cli.jobs.watch import follow_to_the_end

    say(f"Submitted job {job.id}.")
    follow_to_the_end(url, job_id=job.id)


def _going_on_from(
    origin: str, *, url: str | None, options: Mapping[str, Any], total_steps: int | None
) -> dict[str, Any]:
    from tuner.cli.job_ids import find_job
    from tuner.cli.jobs.warm_start import successor
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job = client.job(find_job(client, text=origin))
        found = successor(job, report=client.report(job.id), options=options, total_steps=total_steps)
    for note in found.notes:
        say(note)
    return found.request


def _tell(job: JobDetail, *, as_json: bool) -> None:
    if as_json:
        show_json(job)
    else:
        show(job.id)
        say(f"Submitted. `tuner watch {job.id[:8]}` follows it.")


def merged(
    document: Mapping[str, Any], *, top: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """A request: the document, overlaid by what the command line gives.

    Args:
        document: The request as JSON; may be empty. Parts of a wrong type are left for the service to refuse.
        top: Fields of the request itself.
        parts: Fields of its parts, by the part's name: ``"options"``, ``"search"``, ...
    """
    request = {**document, **top}
    for name, values in parts.items():
        present = request.get(name, {})
        if values and isinstance(present, Mapping):
            request[name] = {**present, **values}
    return request


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
