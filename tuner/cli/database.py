"""``tuner db``: what people do to the database itself."""

from __future__ import annotations

import typer

from tuner.cli.options import DEFAULT_DATA_DIR, DatabaseUrl, DataDir
from tuner.cli.output import say
from tuner.cli.stack import database_in

app = typer.Typer(help="The database.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _database() -> None:
    """The database."""


@app.command()
def upgrade(database_url: DatabaseUrl = "", data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Bring the tables of the database to this release, or make them.

    A SQLite file is upgraded by itself when the service starts; any other database by this command alone. Running it
    again changes nothing.
    """
    from tuner.store.migrate import upgrade as upgrade_database

    if not database_url:
        data_dir.mkdir(parents=True, exist_ok=True)
    upgrade_database(database_url or database_in(data_dir))
    say("The database is up to date.")
