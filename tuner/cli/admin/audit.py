"""``tuner admin audit``: the audit log."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Limit, Url
from tuner.cli.output import format_time
from tuner.cli.request import Table, request_and_print

if TYPE_CHECKING:
    from tuner.people.records import AuditRecord

_ENTRIES: Table[AuditRecord] = Table(
    columns={
        "WHEN": lambda entry: format_time(entry.at),
        "WHO": lambda entry: entry.actor,
        "WHAT": lambda entry: entry.action,
        "TO": lambda entry: entry.target,
        "TEAM": lambda entry: entry.team or "",
        "DETAILS": lambda entry: json.dumps(entry.data, ensure_ascii=False) if entry.data else "",
    },
    empty="No such entries.",
)


def audit(
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
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """List the audit log, the latest entry first: who did what."""
    request_and_print(
        lambda client: list(islice(client.people.audit(team=team, actor=actor, action=action), limit)),
        show=_ENTRIES.print,
        as_json=as_json,
        url=url,
    )
