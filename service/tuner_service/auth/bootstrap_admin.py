"""The first start makes an admin, and says once how to log in."""

from __future__ import annotations

import tempfile
from typing import TextIO

from tuner.store import Store
from tuner_service.auth.keys import write_privately
from tuner_service.settings import Settings

TOKEN_FILE = "admin-token"


def write_new_token(*, store: Store, output: TextIO) -> None:
    """Make another token for the user `admin`, for when nobody can log in any more, and write it out.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    output.write(f"{store.people.recover_admin()}\n")
    output.flush()


def make_first_admin(settings: Settings, *, store: Store, output: TextIO) -> None:
    """Make the first admin with a token, where a login is needed and nobody can log in yet.

    The token is shown on a terminal, where it is seen once; else it is written to a file that only this user can read,
    because what goes into a log stays there.

    Raises:
        OSError: The file cannot be written; then no admin is made.
        DatabaseUnavailable: Nobody can tell whether there is one.
    """
    if not settings.login_needed or store.people.users():
        return
    on_terminal = output.isatty()
    file = settings.data_dir.resolve() / TOKEN_FILE
    if not on_terminal:
        # Before the token is made: once it is in the database it cannot be had again.
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    secret = store.people.first_admin()
    if secret is None:  # another service was faster
        return
    if on_terminal:
        output.write(
            f"First start. The user admin logs in with this token, which is shown this once:\n\n  {secret}\n\n"
        )
    else:
        write_privately(file, secret + "\n")
        output.write(
            f"First start. The user admin logs in with the token in {file}; keep it elsewhere and delete it.\n"
        )
    output.flush()
