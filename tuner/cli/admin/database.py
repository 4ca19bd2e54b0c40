"""``tuner db``: make its roles, upgrade, back up, restore and check the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tuner.cli.help import App
from tuner.cli.options import DEFAULT_DATA_DIR, AsJson, DatabaseUrl, DataDir
from tuner.cli.output import say, show, show_json
from tuner.cli.stack.stack import database_in
from tuner.errors import InvalidValue

UNSOUND = 1
"""Exit code of ``tuner db check`` when the check found something."""

app = App(
    help="Make roles for the database; upgrade, back up, restore and check it.",
    examples=("tuner db check", "tuner db backup tuner-backup.db"),
)


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
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
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
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
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


def _password_file(of: str) -> Any:
    return typer.Option(
        f"--{of}-password-file",
        envvar=f"TUNER_{of.upper()}_PASSWORD_FILE",
        metavar="FILE",
        show_default="the one that it has",
        help=f"File with the password of the {of}'s role.",
    )


@app.command()
def roles(
    database_url: DatabaseUrl = "",
    owner: Annotated[str, typer.Option("--owner", metavar="ROLE", help="Owns the tables.")] = "tuner_owner",
    service: Annotated[str, typer.Option("--service", metavar="ROLE", help="The service's.")] = "tuner_service",
    worker: Annotated[str, typer.Option("--worker", metavar="ROLE", help="The workers'.")] = "tuner_worker",
    owner_password_file: Annotated[Path | None, _password_file("owner")] = None,
    service_password_file: Annotated[Path | None, _password_file("service")] = None,
    worker_password_file: Annotated[Path | None, _password_file("worker")] = None,
) -> None:
    """Make the roles of a PostgreSQL database.

    They are its owner, the service's, and a narrow one for workers, which reaches neither people nor tokens nor
    webhooks; none is a superuser. The database URL is that of a superuser, or of the database's owner with CREATEROLE
    and CREATEDB. The owner upgrades and restores. Nobody else may connect to the database afterwards. Running it again
    changes nothing but passwords.

    Example:
        tuner db roles --database-url postgresql://postgres@db/tuner
    """
    from tuner.store.maintenance.roles import SQLITE_HINT, DatabaseRoles, Login, make_roles

    if not database_url:
        raise InvalidValue("--database-url", allowed="that of a PostgreSQL database", hint=SQLITE_HINT)
    logins = DatabaseRoles(
        owner=Login(name=owner, password=_password_in(owner_password_file, option="--owner-password-file")),
        service=Login(name=service, password=_password_in(service_password_file, option="--service-password-file")),
        worker=Login(name=worker, password=_password_in(worker_password_file, option="--worker-password-file")),
    )
    make_roles(database_url, logins)
    say(f"The roles {owner}, {service} and {worker} are ready.")


def _password_in(file: Path | None, *, option: str) -> str | None:
    """The password in a file, without line ends.

    Raises:
        InvalidValue: The file cannot be read, or it is empty.
    """
    if file is None:
        return None
    try:
        password = file.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue(option, value=str(file), allowed=f"a file that can be read ({error})") from error
    if not password:
        raise InvalidValue(option, value=str(file), allowed="a file with a password in it")
    return password
