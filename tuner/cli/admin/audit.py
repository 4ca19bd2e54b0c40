"""``tuner admin audit``: the audit log."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import Limit
from tuner.cli.output import format_time
from tuner.cli.request import Table, service_command

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.people.records import AuditRecord

_ENTRIES: Table[AuditRecord] = Table(
    columns={
        "WHEN": lambda entry: format_time(entry.at),
        "ACTOR": lambda entry: entry.actor,
        "ACTION": lambda entry: entry.action,
        "TO": lambda entry: entry.target,
        "TEAM": lambda entry: entry.team or "",
        "DETAILS": lambda entry: json.dumps(entry.data, ensure_ascii=False) if entry.data else "",
    },
    empty="No such entries.",
)


@service_command(_ENTRIES.print)
def audit(
    client: Client,
    team: Annotated[
        str | None, typer.Option("--team", show_default=False, help="Only what concerns this team.")
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="USER", show_default=False, help="Only what this user did.")
    ] = None,
    action: Annotated[
        str | None,
        typer.Option("--action", show_default=False, help="Only this kind of action, as job.cancel or token.create."),
    ] = None,
    limit: Limit = 50,
) -> list[AuditRecord]:
    """List the audit log, the latest entry first: who did what.

    Example:
        tuner admin audit --actor ada --limit 10
    """
    return list(islice(client.people.audit(team=team, actor=actor, action=action), limit))
