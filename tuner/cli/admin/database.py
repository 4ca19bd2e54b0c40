"""``tuner db``: upgrade, back up, restore and check the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.help import App
from tuner.cli.options import DEFAULT_DATA_DIR, AsJson, DatabaseUrl, DataDir
from tuner.cli.output import say, show, show_json
from tuner.cli.stack.stack import database_in

UNSOUND = 1
"""Exit code of ``tuner db check`` when the check found something."""

app = App(help="Upgrade, back up, restore and check the database.")


@app.command()
def upgrade(database_url: DatabaseUrl = "", data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Upgrade the tables to this release, or create them.

    The service upgrades a SQLite file when it starts; any other database is upgraded by this command alone. Running it
    again changes nothing.

    Example:
        tuner db upgrade --database-url postgresql://db/tuner
    """
    from tuner.store.maintenance.migrate import upgrade as upgrade_database

    if not database_url:
        data_dir.mkdir(parents=True, exist_ok=True)
    upgrade_database(database_url or database_in(data_dir))
    say("The database is up to date.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist yet.")],
    database_url: DatabaseUrl = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Back up the whole database into a file.

    It is consistent, also while service and workers run. The backup holds jobs, curves, reports, Optuna's studies,
    people and the digests of their tokens. It does not hold the snapshots of runs: after a restore, unfinished runs
    start again. PostgreSQL needs its client programs (pg_dump) on this machine.

    Example:
        tuner db backup tuner-backup.db
    """
    from tuner.store.maintenance.backup import back_up

    back_up(database_url or database_in(data_dir), to=file)
    say(f"{file}: {file.stat().st_size / 1e6:.1f} MB. `tuner db restore {file}` restores it.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `tuner db backup` made.")],
    database_url: DatabaseUrl = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    replace: Annotated[bool, typer.Option("--replace", help="Replace everything that the database holds now.")] = False,
) -> None:
    """Restore the database from a backup, whole or not at all.

    Stop the service and the workers first. A backup of an earlier release is then upgraded with `tuner db upgrade`.

    Example:
        tuner db restore tuner-backup.db --replace
    """
    from tuner.store.maintenance.backup import restore as restore_database
    from tuner.store.maintenance.migrate import is_current

    if not database_url:
        data_dir.mkdir(parents=True, exist_ok=True)
    url = database_url or database_in(data_dir)
    restore_database(url, source=file, replace=replace)
    say("The database is restored.")
    if not is_current(url):
        say("The backup is of another release: run `tuner db upgrade` before you start the service.")


@app.command()
def check(database_url: DatabaseUrl = "", data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Check the database, while everything runs.

    The check looks for damage, lost references and broken invariants of the queue. The exit code is 0 when the database
    is sound and 1 when the check found something.

    Example:
        tuner db check
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
