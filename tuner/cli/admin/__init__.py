"""``tuner admin``: teams, their members, users, tokens, and the audit log."""

from __future__ import annotations

import typer

from tuner.cli.admin import audit, members, teams, tokens, users

app = typer.Typer(
    help="Manage teams, members, users and tokens; read the audit log.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(teams.app, name="team")
app.add_typer(members.app, name="member")
app.add_typer(users.app, name="user")
app.add_typer(tokens.app, name="token")
app.command("audit")(audit.audit)
