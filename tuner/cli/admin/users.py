"""``tuner admin user``: the users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli import completion
from tuner.cli.help import App
from tuner.cli.output import format_time, say
from tuner.cli.request import Table, service_command

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.people.records import UserRecord

app = App(help="Manage users.", examples=("tuner admin user list", "tuner admin user set ada"))

_USERS: Table[UserRecord] = Table(
    columns={
        "USER": lambda user: user.name,
        "STATE": lambda user: _state(user),
        "TEAMS": lambda user: ", ".join(f"{member.team} ({member.role.value})" for member in user.memberships),
        "CREATED": lambda user: format_time(user.created_at),
    },
    empty="No users. `tuner admin user set NAME` adds one.",
)


def _say_state(user: UserRecord) -> None:
    say(f"{user.name}: {_state(user)}.")


@app.command("list")
@service_command(_USERS.print)
def list_users(client: Client) -> tuple[UserRecord, ...]:
    """List the users with their teams.

    Example:
        tuner admin user list
    """
    return client.people.users()


@app.command("set")
@service_command(_say_state)
def set_user(
    client: Client,
    user: Annotated[str, typer.Argument(metavar="USER", autocompletion=completion.users, help="The user's name.")],
    admin: Annotated[
        bool | None,
        typer.Option("--admin/--no-admin", show_default=False, help="Whether the user is an admin of the service."),
    ] = None,
    disabled: Annotated[
        bool | None,
        typer.Option("--disabled/--enabled", show_default=False, help="Whether the service refuses the user's tokens."),
    ] = None,
) -> UserRecord:
    """Add a user, or change one.

    Options that are left out change nothing.

    Examples:
        tuner admin user set ada
        tuner admin user set ada --disabled
    """
    return client.people.put_user(user, admin=admin, disabled=disabled)


def _state(user: UserRecord) -> str:
    return "disabled" if user.disabled else "admin of the service" if user.admin else "enabled"
