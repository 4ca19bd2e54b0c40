"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from tuner.errors import InvalidValue

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8642
DEFAULT_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
DEFAULT_DATA_DIR = Path("tuner-data")


def _address(text: str) -> str:
    """The address of the service as given.

    Raises:
        InvalidValue: It is no address at all.
    """
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        is_address = False
    if not is_address:
        raise InvalidValue("--url", value=text, allowed=f"an address like {DEFAULT_URL}")
    return text


def _classes(texts: list[str] | None) -> list[str] | None:
    """The workloads as given, each of them ``module:Class``.

    Raises:
        InvalidValue: One is not. Whether the class exists, only the worker's runner finds out.
    """
    for text in texts or ():
        module, _, name = text.partition(":")
        if not (name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
            raise InvalidValue("--workload", value=text, allowed="module:Class, as in my_project.training:MyWorkload")
    return texts


Url = Annotated[
    str,
    typer.Option("--url", envvar="TUNER_URL", metavar="URL", callback=_address, help="Address of the service."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job, the start of it, or `latest`.")]
DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir", envvar="TUNER_DATA_DIR", metavar="DIR", help="Folder for the database, snapshots and logs."
    ),
]
DatabaseUrl = Annotated[
    str,
    typer.Option(
        "--database-url",
        envvar="TUNER_DATABASE_URL",
        metavar="URL",
        show_default=False,
        help="sqlite:///file or postgresql://...; a SQLite file in the data folder when absent.",
    ),
]
Host = Annotated[str, typer.Option("--host", envvar="TUNER_HOST", metavar="ADDRESS", help="Address to listen at.")]
Port = Annotated[int, typer.Option("--port", envvar="TUNER_PORT", min=0, max=65535, help="Port to listen at.")]
Workloads = Annotated[
    list[str] | None,
    typer.Option(
        "--workload",
        metavar="MODULE:CLASS",
        callback=_classes,
        show_default=False,
        help="Offer a workload of your own besides the built-in ones. Repeatable.",
    ),
]
