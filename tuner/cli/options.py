"""Options that several commands share."""

from __future__ import annotations

import os
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import typer

from tuner.cli import completion
from tuner.cli.help import COMMON
from tuner.errors import InvalidValue

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8642
DEFAULT_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
CURRENT_URL = ""
"""The service of the last login; one on this machine when there is none."""
DEFAULT_DATA_DIR = Path("tuner-data")


def _check_address(parameter: typer.CallbackParam, text: str) -> str:
    """Check the address of the service; empty means the current one.

    Raises:
        InvalidValue: It is no address.
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


def _check_providers(texts: list[str] | None) -> list[str] | None:
    """Check that each workload is ``module:Class``, or a ``.toml`` file that describes a command.

    Raises:
        InvalidValue: One is neither. The worker's runner checks whether the class exists.
    """
    for text in texts or ():
        check_provider(text, field="--workload")
    return texts


def check_provider(text: str, *, field: str) -> None:
    """Check that a text can name a workload.

    Raises:
        InvalidValue: It is neither ``module:Class`` of a module that is there nor an existing ``.toml`` file.
    """
    if text.endswith(".toml"):
        if not Path(text).is_file():
            raise InvalidValue(field, value=text, allowed="a file that exists")
        return
    module, _, name = text.partition(":")
    if not (name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        example = "module:Class, as in my_project.training:MyWorkload, or a .toml file that describes a command"
        stem = module.removesuffix(".py")
        hint = (
            f"For all of {stem}.py: {stem}:NAME, NAME being a class or a function in it" if stem.isidentifier() else ""
        )
        raise InvalidValue(field, value=text, allowed=example, hint=hint)
    package = module.partition(".")[0]
    if find_spec(package) is None and PathFinder.find_spec(package, [os.getcwd()]) is None:
        where = f"There is no module {package!r} in {os.getcwd()}, on PYTHONPATH or among the installed packages"
        raise InvalidValue(field, value=text, allowed="module:Class of a module that Python finds", hint=where)


def limit_option(name: str, *, unit: str, help: str, default: str = "none", panel: str | None = None) -> Any:
    """An option that sets a limit, or lifts it with ``none``; `tuner.cli.parsing.parse_limits` reads it."""
    return typer.Option(name, metavar=f"{unit}|none", show_default=default or False, rich_help_panel=panel, help=help)


Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="TUNER_URL",
        metavar="URL",
        callback=_check_address,
        show_default="that of the last login, else this machine's",
        rich_help_panel=COMMON,
        help="Address of the service.",
    ),
]
Address = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        envvar="TUNER_URL",
        callback=_check_address,
        show_default="that of the last login, else this machine's",
        help="Address of the service.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", rich_help_panel=COMMON, help="Print JSON on standard output.")]
Job = Annotated[
    str, typer.Argument(metavar="JOB", autocompletion=completion.jobs, help="Id of the job, its start, or `latest`.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Maximum number of entries.")]
RoleName = Literal["viewer", "submitter", "admin"]
"""`tuner.people.permissions.Role`, spelled out: its import takes too long for a help text."""
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
        show_default="a SQLite file in the data folder",
        help="sqlite:///file or postgresql://...",
    ),
]
Host = Annotated[str, typer.Option("--host", envvar="TUNER_HOST", metavar="ADDRESS", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", envvar="TUNER_PORT", min=0, max=65535, help="Port to listen on.")]
Auth = Annotated[
    Literal["auto", "on", "off"],
    typer.Option(
        "--auth",
        envvar="TUNER_AUTH",
        help="Whether a login is required; auto: except on a loopback address with SQLite. off: loopback only.",
    ),
]
PublicUrl = Annotated[
    str,
    typer.Option(
        "--public-url",
        envvar="TUNER_PUBLIC_URL",
        metavar="URL",
        show_default="none",
        help="Address of the proxy in front of the service: https://tuner.example.org.",
    ),
]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        metavar="NAME",
        show_default="none",
        help="A further host name of the service (TUNER_ALLOWED_HOSTS, with commas). Repeatable.",
    ),
]
Workloads = Annotated[
    list[str] | None,
    typer.Option(
        "--workload",
        metavar="MODULE:CLASS",
        callback=_check_providers,
        show_default=False,
        help="Offer a workload of your own: module:Class, or a .toml file that describes a command. Repeatable.",
    ),
]
