"""``tuner admin member``: the members of a team and their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import CURRENT_URL, AsJson, RoleName, Url
from tuner.cli.output import say
from tuner.cli.request import Table, request, request_and_print

if TYPE_CHECKING:
    from tuner.people.records import Member

app = typer.Typer(help="Manage the members of a team.", no_args_is_help=True, rich_markup_mode=None)

Team = Annotated[str, typer.Argument(metavar="TEAM", help="The team's name.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The user's name.")]
_MEMBERS: Table[Member] = Table(
    columns={"USER": lambda member: member.user, "ROLE": lambda member: member.role.value},
    empty="The team has no members. `tuner admin member set TEAM USER` adds one.",
)


@app.command("list")
def list_members(team: Team, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List a team's members."""
    request_and_print(lambda client: client.people.members(team), show=_MEMBERS.print, as_json=as_json, url=url)


@app.command("set")
def set_member(
    team: Team,
    user: User,
    role: Annotated[RoleName, typer.Option("--role", help="What the user may do in the team.")] = "submitter",
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Add a user to a team, or change the user's role in it."""
    from tuner.people.permissions import Role

    request_and_print(
        lambda client: client.people.put_member(team, user, role=Role(role)),
        show=lambda member: say(f"{member.user} is {member.role.value} in team {member.team}."),
        as_json=as_json,
        url=url,
    )


@app.command("remove")
def remove_member(team: Team, user: User, url: Url = CURRENT_URL) -> None:
    """Remove a user from a team; the user's tokens for it are revoked."""
    request(lambda client: client.people.remove_member(team, user), url=url)
    say(f"{user} is no longer in team {team}.")
