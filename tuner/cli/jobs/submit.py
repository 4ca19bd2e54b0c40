"""``tuner submit``: submit a tuning job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuner.cli.jobs.control import show_submitted
from tuner.cli.jobs.incumbent import import_incumbent, read_incumbent
from tuner.cli.jobs.jobs import queue_entry
from tuner.cli.jobs.options import (
    AgainstWhat,
    Budget,
    Device,
    DeviceHours,
    Devices,
    DryRun,
    Family,
    Floor,
    Incumbent,
    IncumbentFrom,
    LeastGain,
    Longer,
    MemoryGib,
    Name,
    NoPrune,
    Notes,
    Option,
    Origin,
    Patience,
    PeakLr,
    PriorityClass,
    Pruner,
    RangeTestFirst,
    Sampler,
    Seed,
    Seeds,
    Shared,
    Space,
    Spec,
    StepsPerEpoch,
    Target,
    Team,
    TotalSteps,
    Training,
    Trials,
    Vary,
    WallHours,
    Warmup,
    WarmupShape,
    Watch,
    Workload,
    Worth,
)
from tuner.cli.jobs.price import print_price
from tuner.cli.jobs.space import parse_space
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
    from tuner.cli.jobs.options import Against
    from tuner.client import Client


def submit(
    workload: Workload = "",
    option: Option = None,
    total_steps: TotalSteps = None,
    steps_per_epoch: StepsPerEpoch = None,
    budget: Budget = None,
    worth: Worth = None,
    least_gain: LeastGain = None,
    trials: Trials = None,
    seeds: Seeds = None,
    sampler: Sampler = None,
    pruner: Pruner = None,
    no_prune: NoPrune = False,
    range_test: RangeTestFirst = False,
    device_hours: DeviceHours = None,
    wall_hours: WallHours = None,
    target: Target = None,
    patience: Patience = None,
    space: Space = None,
    training: Training = None,
    peak_lr: PeakLr = "",
    family: Family = None,
    warmup: Warmup = "",
    warmup_shape: WarmupShape = "",
    floor: Floor = "",
    vary: Vary = None,
    incumbent: Incumbent = "",
    incumbent_from: IncumbentFrom = "",
    origin: Origin = "",
    against: AgainstWhat = None,
    spec: Spec = "",
    name: Name = None,
    notes: Notes = None,
    team: Team = None,
    shared: Shared = None,
    priority: PriorityClass = None,
    longer: Longer = None,
    seed: Seed = None,
    device: Device = None,
    devices: Devices = None,
    memory_gib: MemoryGib = None,
    dry_run: DryRun = False,
    watch: Watch = False,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Submit a tuning job; prints its id on standard output.

    Only the workload is required. The service checks the request and fills in the defaults.

    Examples:
        tuner submit digits-mlp --watch
        tuner submit digits-mlp --budget 5 --dry-run
        tuner submit digits-mlp --peak-lr 1e-3..0.1 --family wsd
        tuner submit digits-mlp --space wide --budget 20
        tuner submit digits-mlp --family "step every=10%..50% gamma=0.1,0.5"
        tuner submit digits-cnn --option optimizer=adam --vary dropout=0,0.2
    """
    if watch and (as_json or dry_run):
        other = "--json" if as_json else "--dry-run"
        raise InvalidValue(other, value="with --watch", allowed="given without --watch")
    options = parse_assignments(option or (), option="--option")
    varied = parse_ranges(vary or (), option="--vary")
    searched = parse_space(
        preset=space,
        training=training,
        peak_lr=peak_lr,
        families=family or (),
        warmup=warmup,
        warmup_shape=warmup_shape,
        floor=floor,
    )
    limits = {"device_hours": device_hours, "wall_hours": wall_hours, "target": target, "patience": patience}
    top = {"workload": workload or None, "name": name, "notes": notes, "team": team, "shared": shared, "longer": longer}
    search = {
        "total_steps": total_steps,
        "steps_per_epoch": steps_per_epoch,
        "budget": parse_budget(budget),
        "worth": parse_share(worth, option="--worth"),
        "least_gain": least_gain,
        "seeds": seeds,
        "seed": seed,
        "sampler": sampler,
        "pruner": pruner,
        "prune": False if no_prune else None,
        "incumbent": _incumbent(
            incumbent, incumbent_from, workload=workload, url=url, total_steps=total_steps, epoch=steps_per_epoch
        ),
    }
    if against is not None and (incumbent or incumbent_from or not origin):
        raise InvalidValue("--against", value=against.value, allowed="given with --from, without --incumbent")
    most = parse_limits({"trials": trials})
    base = (
        _warm_start(
            origin, url=url, options=options, total_steps=total_steps, trials=most.get("trials"), against=against
        )
        if origin
        else {}
    )
    body = merge_request(
        {**base, **(read_document(spec, option="--spec") if spec else {})},
        top=_without_none(top | {"priority": priority}),
        parts={
            "options": options,
            "search": _without_none(search)
            | most
            | ({"options": varied} if varied else {})
            | ({"range_test": {}} if range_test else {}),
            "resources": _without_none({"device": device, "devices": devices, "memory_gib": memory_gib}),
            "limits": parse_limits(limits),
        },
        space=searched,
    )
    if "workload" not in body:
        raise InvalidValue("WORKLOAD", allowed="given", hint="`tuner workloads` lists them")
    if dry_run:
        print_price(body, url=url, as_json=as_json)
    else:
        _send(body, url=url, watch=watch, as_json=as_json)


def _incumbent(
    incumbent: str, file: str, *, workload: str, url: str, total_steps: int | None, epoch: int | None
) -> dict[str, Any] | None:
    if incumbent and file:
        raise InvalidValue("--incumbent-from", value=file, allowed="given without --incumbent")
    if file:
        return import_incumbent(file, workload=workload, url=url, total_steps=total_steps, steps_per_epoch=epoch)
    if not incumbent:
        return None
    return read_incumbent(incumbent, url=url, total_steps=total_steps, steps_per_epoch=epoch)


def _send(body: Mapping[str, Any], *, url: str, watch: bool, as_json: bool) -> None:
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


def _warm_start(
    origin: str,
    *,
    url: str,
    options: Mapping[str, Any],
    total_steps: int | None,
    trials: float | None,
    against: Against | None,
) -> dict[str, Any]:
    from tuner.cli.ids import find_job
    from tuner.cli.jobs.warm_start import FollowUp, follow_up

    def read(client: Client) -> FollowUp:
        job = client.job(find_job(client, text=origin))
        report = client.report(job.id)
        return follow_up(
            job,
            report=report,
            options=options,
            total_steps=total_steps,
            trials=None if trials is None else int(trials),
            against=against,
        )

    found = request(read, url=url)
    for note in found.notes:
        say(note)
    return found.request


def merge_request(
    document: Mapping[str, Any],
    *,
    top: Mapping[str, Any],
    parts: Mapping[str, Mapping[str, Any]],
    space: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of a job, with the values of the command line in place of its own.

    Args:
        document: The job as JSON; may be empty. Parts of a wrong type stay: the service refuses them.
        top: Top-level fields.
        parts: Fields of its parts, by the part's name: ``"options"``, ``"search"``, ...
        space: Fields of ``search.space``.
    """
    request = {**document, **top}
    for name, values in parts.items():
        request = _merged(request, name, values=values)
    search = request.get("search", {})
    if space and isinstance(search, Mapping):
        request["search"] = _merged(search, "space", values=space)
    return request


def _merged(document: Mapping[str, Any], name: str, *, values: Mapping[str, Any]) -> dict[str, Any]:
    present = document.get(name) or {}
    return {**document, name: {**present, **values}} if values and isinstance(present, Mapping) else dict(document)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
