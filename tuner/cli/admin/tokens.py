"""``tuner admin token``: API tokens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli import completion
from tuner.cli.help import App
from tuner.cli.ids import check_whole, find_token
from tuner.cli.options import CURRENT_URL, RoleName, Url, Yes
from tuner.cli.output import confirm_action, format_span, format_time, say, short_id, show
from tuner.cli.parsing import parse_limits
from tuner.cli.request import Table, request, service_command
from tuner.errors import MISSING

if TYPE_CHECKING:
    from tuner.client import Client, NewToken
    from tuner.people.records import TokenRecord

app = App(
    help="Manage API tokens.", examples=("tuner admin token list --valid", "tuner admin token create --label laptop")
)

_TOKENS: Table[TokenRecord] = Table(
    columns={
        "ID": lambda token: short_id(token.id),
        "USER": lambda token: token.user,
        "TEAM": lambda token: token.team or "(all)",
        "ROLE": lambda token: token.role.value,
        "STATE": lambda token: _state(token),
        "EXPIRES": lambda token: format_time(token.expires_at) or "never",
        "LAST USED": lambda token: _last_use(token),
        "LABEL": lambda token: token.label,
    },
    empty="No tokens. `tuner admin token create` makes one.",
)


def _show_secret(new: NewToken) -> None:
    token = new.token
    scope = "the whole service" if token.team is None else f"team {token.team}"
    say(f"Token {token.id} of {token.user}: {token.role.value} in {scope}. Its secret is not shown again:")
    show(new.secret)


@app.command("list")
@service_command(_TOKENS.print)
def list_tokens(
    client: Client,
    team: Annotated[str | None, typer.Option("--team", show_default=False, help="Only those for this team.")] = None,
    user: Annotated[str | None, typer.Option("--user", show_default=False, help="Only this user's.")] = None,
    valid: Annotated[bool, typer.Option("--valid", help="Only those neither revoked nor expired.")] = False,
) -> tuple[TokenRecord, ...]:
    """List tokens: your own, and as an admin your team's.

    The service does not store their secrets.

    Example:
        tuner admin token list --valid
    """
    return client.people.tokens(team=team, user=user, valid=valid)


@app.command("create")
@service_command(_show_secret)
def create_token(
    client: Client,
    user: Annotated[str | None, typer.Option("--user", show_default="you", help="Its owner.")] = None,
    team: Annotated[str | None, typer.Option("--team", show_default="yours", help="The team it is for.")] = None,
    role: Annotated[
        RoleName | None,
        typer.Option("--role", show_default="your own role", help="What it allows at most."),
    ] = None,
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="What it is for.")] = None,
    days: Annotated[
        str | None,
        typer.Option(
            "--days",
            metavar="DAYS|none",
            show_default="90",
            help="Days until it expires. none, for never, is for admins.",
        ),
    ] = None,
) -> NewToken:
    """Create a token, and print its secret, this once.

    Examples:
        tuner admin token create --label laptop
        tuner admin token create --user ada --team vision --days 30
    """
    from tuner.people.permissions import Role

    lifetime = parse_limits({"days": days})
    return client.people.create_token(
        user=user,
        team=team,
        role=None if role is None else Role(role),
        label=label,
        lifetime_days=lifetime.get("days", MISSING),
    )


@app.command("revoke")
def revoke_token(
    token: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN",
            autocompletion=completion.tokens,
            help="Of the token or its start, as `tuner admin token list` lists it.",
        ),
    ],
    yes: Yes = False,
    url: Url = CURRENT_URL,
) -> None:
    """Revoke a token: the service refuses it from now on.

    The command asks for confirmation where only the start of the id is named.

    Example:
        tuner admin token revoke 4f9c21b7
    """

    def confirm_and_revoke(client: Client) -> str:
        token_id = find_token(client, text=token)
        if yes:
            check_whole(token, found=token_id, kind="token")
        confirm_action(f"Revoke token {token_id}?", yes=token == token_id)
        client.people.revoke_token(token_id)
        return token_id

    say(f"Token {request(confirm_and_revoke, url=url)} is revoked.")


def _state(token: TokenRecord) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= time.time() else "valid"


def _last_use(token: TokenRecord) -> str:
    return "never" if token.last_used_at is None else f"{format_span(time.time() - token.last_used_at)} ago"
