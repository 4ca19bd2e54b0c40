"""``tuner admin token``: API tokens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import CURRENT_URL, AsJson, RoleName, Url
from tuner.cli.output import ago, moment, say, show, show_json, show_table
from tuner.cli.parsing import amounts

if TYPE_CHECKING:
    from tuner.people.records import TokenRecord

app = typer.Typer(help="API tokens.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _tokens() -> None:
    """API tokens."""


@app.command("list")
def list_tokens(
    team: Annotated[str | None, typer.Option("--team", show_default=False, help="Only those for this team.")] = None,
    user: Annotated[str | None, typer.Option("--user", show_default=False, help="Only this user's.")] = None,
    good: Annotated[bool, typer.Option("--good", help="Only those neither revoked nor expired.")] = False,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """List the tokens that you may see: your own, and as an admin those of your team. Their secrets are not kept."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        tokens = client.people.tokens(team=team, user=user, good=good)
    if as_json:
        show_json(tokens)
    elif not tokens:
        say("No tokens. `tuner admin token create` makes one.")
    else:
        now = time.time()
        show_table(
            ("ID", "USER", "TEAM", "ROLE", "STATE", "EXPIRES", "LAST USED", "LABEL"),
            [_row(token, now=now) for token in tokens],
        )


@app.command("create")
def create_token(
    user: Annotated[
        str | None, typer.Option("--user", show_default=False, help="Whose it is; yours when absent.")
    ] = None,
    team: Annotated[
        str | None, typer.Option("--team", show_default=False, help="The team it is for; yours when absent.")
    ] = None,
    role: Annotated[
        RoleName | None,
        typer.Option("--role", show_default=False, help="What it allows at most; your own when absent."),
    ] = None,
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="What it is for.")] = None,
    days: Annotated[
        str | None,
        typer.Option(
            "--days",
            metavar="DAYS|none",
            show_default=False,
            help="Days until it expires; 90 when absent. none, for never, is for admins.",
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Make a token; prints its secret on standard output, this once."""
    from tuner.client import Client, Keep
    from tuner.people.permissions import Role

    lifetime = amounts({"days": days})
    with Client.from_profile(url) as client:
        new = client.people.create_token(
            user=user,
            team=team,
            role=None if role is None else Role(role),
            label=label,
            lifetime_days=lifetime.get("days", Keep.KEEP),
        )
    if as_json:
        show_json(new)
        return
    token = new.token
    where = "the whole service" if token.team is None else f"team {token.team}"
    say(f"Token {token.id} of {token.user}: {token.role.value} in {where}. Its secret is not shown again:")
    show(new.secret)


@app.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(metavar="ID", help="Of the token, as `tuner admin token list` lists it.")],
    url: Url = CURRENT_URL,
) -> None:
    """Have the service refuse a token from now on."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        client.people.revoke_token(token)
    say(f"Token {token} is revoked.")


def _row(token: TokenRecord, *, now: float) -> tuple[str, ...]:
    if token.revoked_at is not None:
        state = "revoked"
    else:
        state = "expired" if token.expires_at is not None and token.expires_at <= now else "good"
    return (
        token.id,
        token.user,
        token.team or "(all)",
        token.role.value,
        state,
        moment(token.expires_at) or "never",
        "never" if token.last_used_at is None else f"{ago(now - token.last_used_at)} ago",
        token.label,
    )
