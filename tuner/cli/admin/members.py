"""``tuner admin member``: the members of a team and their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli import completion
from tuner.cli.help import App
from tuner.cli.options import CURRENT_URL, RoleName, Url
from tuner.cli.output import say
from tuner.cli.request import Table, request, service_command

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.people.records import Member

app = App(
    help="Manage the members of a team.",
    examples=("tuner admin member list vision", "tuner admin member set vision ada --role viewer"),
)

Team = Annotated[str, typer.Argument(metavar="TEAM", autocompletion=completion.teams, help="The team's name.")]
User = Annotated[str, typer.Argument(metavar="USER", autocompletion=completion.users, help="The user's name.")]
_MEMBERS: Table[Member] = Table(
    columns={"USER": lambda member: member.user, "ROLE": lambda member: member.role.value},
    empty="The team has no members. `tuner admin member set TEAM USER` adds one.",
)


def _say_role(member: Member) -> None:
    say(f"{member.user} is {member.role.value} in team {member.team}.")


@app.command("list")
@service_command(_MEMBERS.print)
def list_members(client: Client, team: Team) -> tuple[Member, ...]:
    """List a team's members.

    Example:
        tuner admin member list vision
    """
    return client.people.members(team)


@app.command("set")
@service_command(_say_role)
def set_member(
    client: Client,
    team: Team,
    user: User,
    role: Annotated[RoleName, typer.Option("--role", help="What the user may do in the team.")] = "submitter",
) -> Member:
    """Add a user to a team, or change the user's role in it.

    Example:
        tuner admin member set vision ada --role viewer
    """
    from tuner.people.permissions import Role

    return client.people.put_member(team, user, role=Role(role))


@app.command("remove")
def remove_member(team: Team, user: User, url: Url = CURRENT_URL) -> None:
    """Remove a user from a team.

    The user's tokens for the team are revoked.

    Example:
        tuner admin member remove vision ada
    """
    request(lambda client: client.people.remove_member(team, user), url=url)
    say(f"{user} is no longer in team {team}.")
