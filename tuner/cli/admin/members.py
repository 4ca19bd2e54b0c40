"""``tuner admin member``: who is in which team, with which role."""

from __future__ import annotations

from typing import Annotated

import typer

from tuner.cli.options import CURRENT_URL, AsJson, RoleName, Url
from tuner.cli.output import say, show_json, show_table

app = typer.Typer(help="Who is in which team.", no_args_is_help=True, rich_markup_mode=None)

Team = Annotated[str, typer.Argument(metavar="TEAM", help="The team's name.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The user's name.")]


@app.callback()
def _members() -> None:
    """Who is in which team."""


@app.command("list")
def list_members(team: Team, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List a team's members."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        members = client.people.members(team)
    if as_json:
        show_json(members)
    elif not members:
        say(f"Team {team} has no members. `tuner admin member set {team} USER` takes one in.")
    else:
        show_table(("USER", "ROLE"), [(member.user, member.role.value) for member in members])


@app.command("set")
def set_member(
    team: Team,
    user: User,
    role: Annotated[RoleName, typer.Option("--role", help="What the user may do in the team.")] = "submitter",
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Take a user into a team, or give another role in it."""
    from tuner.client import Client
    from tuner.people.permissions import Role

    with Client.from_profile(url) as client:
        member = client.people.put_member(team, user, role=Role(role))
    if as_json:
        show_json(member)
    else:
        say(f"{member.user} is {member.role.value} in team {member.team}.")


@app.command("remove")
def remove_member(team: Team, user: User, url: Url = CURRENT_URL) -> None:
    """Take a user out of a team; the user's tokens for it are revoked."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        client.people.remove_member(team, user)
    say(f"{user} is no longer in team {team}.")
