"""``tuner admin audit``: who did what."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Limit, Url
from tuner.cli.output import moment, say, show_json, show_table


def audit(
    team: Annotated[
        str | None, typer.Option("--team", show_default=False, help="Only what concerns this team.")
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="USER", show_default=False, help="Only what this user did.")
    ] = None,
    action: Annotated[
        str | None,
        typer.Option("--action", show_default=False, help="Only this kind of deed, as job.cancel or token.create."),
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """List who did what, the latest first."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        entries = list(islice(client.people.audit(team=team, actor=actor, action=action), limit))
    if as_json:
        show_json(entries)
    elif not entries:
        say("Nothing of the kind was done.")
    else:
        show_table(
            ("WHEN", "WHO", "WHAT", "TO", "TEAM", "DETAILS"),
            [
                (
                    moment(entry.at),
                    entry.actor,
                    entry.action,
                    entry.target,
                    entry.team or "",
                    json.dumps(entry.data, ensure_ascii=False) if entry.data else "",
                )
                for entry in entries
            ],
        )
