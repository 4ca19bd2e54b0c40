"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from tuner.errors import InvalidValue

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8642
DEFAULT_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
CURRENT_URL = ""
"""The service that was logged in to last; one on this machine when there is none."""
DEFAULT_DATA_DIR = Path("tuner-data")


def _address(parameter: typer.CallbackParam, text: str) -> str:
    """The address of the service as given; empty stands for the current one.

    Raises:
        InvalidValue: It is no address at all.
    """
    if text == CURRENT_URL:
        return text
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        is_address = False
    if not is_address:
        name = "--url" if parameter.param_type_name == "option" else "URL"
        raise InvalidValue(name, value=text, allowed=f"an address like {DEFAULT_URL}")
    return text


def _providers(texts: list[str] | None) -> list[str] | None:
    """The workloads as given, each of them ``module:Class``, or a ``.toml`` file that describes a command.

    Raises:
        InvalidValue: One is neither. Whether the class exists, only the worker's runner finds out.
    """
    for text in texts or ():
        check_provider(text, field="--workload")
    return texts


def check_provider(text: str, *, field: str) -> None:
    """Refuse what cannot name a workload.

    Raises:
        InvalidValue: It is neither ``module:Class`` nor an existing ``.toml`` file.
    """
    if text.endswith(".toml"):
        if not Path(text).is_file():
            raise InvalidValue(field, value=text, allowed="a file that exists")
        return
    module, _, name = text.partition(":")
    if not (name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        example = "module:Class, as in my_project.training:MyWorkload, or a .toml file that describes a command"
        raise InvalidValue(field, value=text, allowed=example)


Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="TUNER_URL",
        metavar="URL",
        callback=_address,
        show_default=f"that of the last `tuner login`, else {DEFAULT_URL}",
        help="Address of the service.",
    ),
]
Address = Annotated[
    str,
    typer.Argument(
        metavar="[URL]",
        envvar="TUNER_URL",
        callback=_address,
        show_default=False,
        help="Address of the service; that of the last `tuner login`, else one on this machine, when absent.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job, the start of it, or `latest`.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
RoleName = Literal["viewer", "submitter", "admin"]
"""As `tuner.people.permissions.Role`, which takes too long to import for a help text."""
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
Auth = Annotated[
    Literal["auto", "on", "off"],
    typer.Option(
        "--auth",
        envvar="TUNER_AUTH",
        help="Whether people log in; auto: everywhere but on a loopback address with SQLite. off: loopback only.",
    ),
]
PublicUrl = Annotated[
    str,
    typer.Option(
        "--public-url",
        envvar="TUNER_PUBLIC_URL",
        metavar="URL",
        show_default=False,
        help="Where people reach the service, when a proxy stands before it: https://tuner.example.org.",
    ),
]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        metavar="NAME",
        show_default=False,
        help="A further name under which others reach the service (TUNER_ALLOWED_HOSTS, with commas). Repeatable.",
    ),
]
Workloads = Annotated[
    list[str] | None,
    typer.Option(
        "--workload",
        metavar="MODULE:CLASS",
        callback=_providers,
        show_default=False,
        help="Offer a workload of your own: module:Class, or a .toml file that describes a command. Repeatable.",
    ),
]
