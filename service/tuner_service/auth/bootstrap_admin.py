"""Creates the first admin at the first start, and shows the token once."""

from __future__ import annotations

import tempfile
from typing import TextIO

from tuner.store import Store
from tuner_service.auth.keys import write_privately
from tuner_service.settings import Settings

TOKEN_FILE = "admin-token"


def write_new_token(*, store: Store, output: TextIO) -> None:
    """Create another token for the user `admin`, for when no admin can log in any more, and write it to the output.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    output.write(f"{store.people.recover_admin()}\n")
    output.flush()


def make_first_admin(settings: Settings, *, store: Store, output: TextIO) -> None:
    """Create the first admin with a token, where a login is required and there is no user yet.

    The token is shown on a terminal; otherwise it is written to a file that only this user can read, because a log
    would store it.

    Raises:
        OSError: The file cannot be written; then no admin is created.
        DatabaseUnavailable: The database cannot be reached.
    """
    if not settings.login_needed or store.people.users():
        return
    on_terminal = output.isatty()
    file = settings.data_dir.resolve() / TOKEN_FILE
    if not on_terminal:
        # Checked before the token is created: the database cannot return its secret later.
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
