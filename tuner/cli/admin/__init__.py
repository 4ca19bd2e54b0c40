"""``tuner admin``: teams, their members, users, tokens, and the audit log."""

from __future__ import annotations

from tuner.cli.admin import audit, members, teams, tokens, users
from tuner.cli.help import App

app = App(
    help="Manage teams, members, users and tokens; audit.",
    examples=("tuner admin team set vision", "tuner admin member set vision ada --role submitter"),
)
app.add_typer(teams.app, name="team")
app.add_typer(members.app, name="member")
app.add_typer(users.app, name="user")
app.add_typer(tokens.app, name="token")
app.command("audit")(audit.audit)
