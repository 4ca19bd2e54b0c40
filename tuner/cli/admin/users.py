"""``tuner admin user``: the users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import format_time, say
from tuner.cli.request import Table, request_and_print

if TYPE_CHECKING:
    from tuner.people.records import UserRecord

app = typer.Typer(help="Manage users.", no_args_is_help=True, rich_markup_mode=None)

_USERS: Table[UserRecord] = Table(
    columns={
        "USER": lambda user: user.name,
        "STATE": lambda user: _state(user),
        "TEAMS": lambda user: ", ".join(f"{member.team} ({member.role.value})" for member in user.memberships),
        "CREATED": lambda user: format_time(user.created_at),
    },
    empty="No users. `tuner admin user set NAME` adds one.",
)


@app.command("list")
def list_users(as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List the users with their teams."""
    request_and_print(lambda client: client.people.users(), show=_USERS.print, as_json=as_json, url=url)


@app.command("set")
def set_user(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's name.")],
    admin: Annotated[
        bool | None,
        typer.Option("--admin/--no-admin", show_default=False, help="Whether the user is an admin of the service."),
    ] = None,
    disabled: Annotated[
        bool | None,
        typer.Option("--disabled/--enabled", show_default=False, help="Whether the service refuses the user's tokens."),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Add a user, or change one; options that are left out change nothing."""
    request_and_print(
        lambda client: client.people.put_user(user, admin=admin, disabled=disabled),
        show=lambda record: say(f"{record.name}: {_state(record)}."),
        as_json=as_json,
        url=url,
    )


def _state(user: UserRecord) -> str:
    return "disabled" if user.disabled else "admin of the service" if user.admin else "enabled"
