"""``tuner queue``, ``tuner shares``: the order of the waiting jobs, and each team's share of the devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.cli.output import format_device_time, format_span, short_id
from tuner.cli.request import Table, service_command

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.jobs.records import QueueEntry, TeamShare

_QUEUE: Table[QueueEntry] = Table(
    columns={
        "POSITION": lambda entry: "" if entry.position is None else str(entry.position),
        "JOB": lambda entry: short_id(entry.job_id),
        "STATE": lambda entry: entry.state.value,
        "TEAM": lambda entry: entry.team,
        "OWNER": lambda entry: entry.owner,
        "PRIORITY": lambda entry: entry.priority.value,
        "RUNS": lambda entry: str(entry.running_runs),
        "WAITING": lambda entry: format_span(entry.waiting_seconds),
        "NAME": lambda entry: entry.name,
        "REASON": lambda entry: entry.reason,
    },
    empty="The queue is empty.",
    details=frozenset({"TEAM", "OWNER", "PRIORITY"}),
)
_SHARES: Table[TeamShare] = Table(
    columns={
        "TEAM": lambda share: share.team,
        "WEIGHT": lambda share: f"{share.weight:g}",
        "DEVICE TIME": lambda share: format_device_time(share.device_seconds),
        "SHARE": lambda share: f"{share.share:.0%}",
        "RUNS": lambda share: str(share.running_runs),
        "OPEN JOBS": lambda share: str(share.open_jobs),
    },
    empty="No team has used the devices lately.",
)


@service_command(_QUEUE.print)
def queue(client: Client) -> tuple[QueueEntry, ...]:
    """Show the queue: each job's position, and why it waits.

    Example:
        tuner queue
    """
    return client.queue()


@service_command(_SHARES.print)
def shares(client: Client) -> tuple[TeamShare, ...]:
    """Show each team's recent share of the devices.

    Example:
        tuner shares
    """
    return client.shares()
