"""``tuner admin user``: the users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import moment, say, show_json, show_table

if TYPE_CHECKING:
    from tuner.people.records import UserRecord

app = typer.Typer(help="Users.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _users() -> None:
    """Users."""


@app.command("list")
def list_users(as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List the users with their teams."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        users = client.people.users()
    if as_json:
        show_json(users)
    elif not users:
        say("No users. `tuner admin user set NAME` makes one.")
    else:
        show_table(("USER", "STATE", "TEAMS", "MADE"), [_row(user) for user in users])


@app.command("set")
def set_user(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's name.")],
    admin: Annotated[
        bool | None, typer.Option("--admin/--no-admin", show_default=False, help="Whether the user runs the service.")
    ] = None,
    disabled: Annotated[
        bool | None,
        typer.Option("--disabled/--enabled", show_default=False, help="Whether none of the user's tokens is good."),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Make a user, or change one; what is not given stays."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        record = client.people.put_user(user, admin=admin, disabled=disabled)
    if as_json:
        show_json(record)
    else:
        say(f"{record.name}: {_state(record)}.")


def _row(user: UserRecord) -> tuple[str, ...]:
    teams = ", ".join(f"{member.team} ({member.role.value})" for member in user.memberships)
    return (user.name, _state(user), teams, moment(user.created_at))


def _state(user: UserRecord) -> str:
    return "disabled" if user.disabled else "admin of the service" if user.admin else "enabled"
