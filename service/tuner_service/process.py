"""The process of the service: its command line, its settings, its exit codes."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError

from tuner.errors import InvalidValue, SchemaMismatch, TunerError
from tuner.extras import ExtraMissing
from tuner.jobs.admission.strict_json import refusals
from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.auth.bootstrap_admin import make_first_admin, write_new_token
from tuner_service.logs import configure_logs
from tuner_service.server import Server
from tuner_service.settings import Settings

REFUSED = 2
"""Exit code when a setting or the database's schema is refused, or a package is missing: a restart does not help."""
FAILED = 1
"""Exit code when the database or the port is not available: a restart may help."""
WRITE_PATIENCE_SECONDS = 4.0
"""How long a request waits for another process that writes to the database, before it gets 503."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        arguments: Of the command line; the process's own when absent.

    Returns:
        The exit code.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    try:
        options = _options(arguments)
        new_token = options.pop("new_admin_token", False)
        settings = Settings(**options)
    except ValidationError as error:
        for refusal in refusals(error.errors(), model=Settings):
            sys.stderr.write(f"{refusal.message}\n")
        return REFUSED
    configure_logs()
    try:
        if not settings.database_url:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        with closing(Store.open(settings.database, patience=WRITE_PATIENCE_SECONDS)) as store:
            if new_token:
                write_new_token(store=store, output=sys.stdout)
                return 0
            return _serve(settings, store=store)
    except (TunerError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED if isinstance(error, InvalidValue | SchemaMismatch | ExtraMissing) else FAILED


def _serve(settings: Settings, *, store: Store) -> int:
    stopping = threading.Event()
    app = create_app(settings, store=store, closing=stopping)
    make_first_admin(settings, store=store, output=sys.stdout)
    server = Server(app, settings=settings, closing=stopping)
    server.run()
    return 0 if server.started else FAILED


def _options(arguments: Sequence[str] | None) -> dict[str, Any]:
    """The settings from the command line, which override those of the environment."""
    parser = argparse.ArgumentParser(prog="python -m tuner_service", description="The service of Schedule Tuner.")
    parser.add_argument("--host", help="address to listen on; off loopback a login is needed (TUNER_HOST; 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for a free one (TUNER_PORT; 8642)")
    parser.add_argument("--database-url", help="SQLAlchemy URL (TUNER_DATABASE_URL; tuner.db in the data folder)")
    parser.add_argument("--data-dir", type=Path, help="folder of the SQLite file (TUNER_DATA_DIR; tuner-data)")
    parser.add_argument(
        "--new-admin-token",
        action="store_true",
        default=None,
        help="create a token for the user admin, who may do everything, print it, and exit",
    )
    return {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}


def _exit(number: int, frame: FrameType | None) -> None:
    """Exit and close the database. While uvicorn serves, it handles the signals, and raises them again afterwards."""
    raise SystemExit(0)
