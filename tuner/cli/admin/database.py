"""``tuner db``: what people do to the database itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.options import DEFAULT_DATA_DIR, AsJson, DatabaseUrl, DataDir
from tuner.cli.output import say, show, show_json
from tuner.cli.stack.stack import database_in

UNSOUND = 1
"""Exit code of ``tuner db check`` when it found something."""

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
    from tuner.store.maintenance.migrate import upgrade as upgrade_database

    if not database_url:
        data_dir.mkdir(parents=True, exist_ok=True)
    upgrade_database(database_url or database_in(data_dir))
    say("The database is up to date.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make; it must not exist yet.")],
    database_url: DatabaseUrl = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Copy the whole database into a file, as it is at this moment, while everything runs.

    Everything is in it: jobs, curves, reports, Optuna's studies, people and the digests of their tokens. Snapshots of
    runs are not; runs that were going on begin anew. PostgreSQL needs its client programs (pg_dump) on this machine.
    """
    from tuner.store.maintenance.backup import back_up

    back_up(database_url or database_in(data_dir), to=file)
    say(f"{file}: {file.stat().st_size / 1e6:.1f} MB. Bring it back with `tuner db restore {file}`.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `tuner db backup` made.")],
    database_url: DatabaseUrl = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    replace: Annotated[
        bool, typer.Option("--replace", help="Allow that everything that the database holds now is lost.")
    ] = False,
) -> None:
    """Bring the database back as a backup holds it, whole or not at all.

    Stop the service and the workers first. A backup of an earlier release is then upgraded with `tuner db upgrade`.
    """
    from tuner.store.maintenance.backup import restore as restore_database
    from tuner.store.maintenance.migrate import is_current

    if not database_url:
        data_dir.mkdir(parents=True, exist_ok=True)
    url = database_url or database_in(data_dir)
    restore_database(url, source=file, replace=replace)
    say("The database is as the backup holds it.")
    if not is_current(url):
        say("The backup is of another release: run `tuner db upgrade` before the service is started.")


@app.command()
def check(database_url: DatabaseUrl = "", data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Look for everything that should not be in the database, while everything runs: damage, lost references, broken
    promises of the queue.

    The exit code is 0 when it is sound and 1 when something was found.
    """
    from tuner.store.maintenance.check import check as check_database

    findings = check_database(database_url or database_in(data_dir))
    if as_json:
        show_json(findings)
    for finding in () if as_json else findings:
        examples = f" ({', '.join(finding.examples)})" if finding.examples else ""
        show(f"{finding.name}: {finding.count} x {finding.message}{examples}")
    if findings:
        raise typer.Exit(UNSOUND)
    say("The database is sound.")
