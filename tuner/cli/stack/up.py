"""``tuner up``, ``tuner serve``, ``tuner worker``: the processes of an installation."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from tuner.cli.options import (
    DEFAULT_DATA_DIR,
    DEFAULT_HOST,
    DEFAULT_PORT,
    DEFAULT_URL,
    AllowedHosts,
    Auth,
    DatabaseUrl,
    DataDir,
    Host,
    Port,
    PublicUrl,
    Workloads,
)
from tuner.cli.output import say
from tuner.cli.stack.stack import Stack, free_port, running
from tuner.errors import InvalidValue
from tuner.extras import require
from tuner.loopback import is_loopback
from tuner.process.private import write_for_this_user

_CHECK_SECONDS = 0.2


def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: DatabaseUrl = "",
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            metavar="DEVICE",
            show_default="every CUDA device, else the CPU",
            help="cpu or cuda:N; one worker each. Repeatable.",
        ),
    ] = None,
    workload: Workloads = None,
    auth: Auth = "auto",
    public_url: PublicUrl = "",
    allowed_host: AllowedHosts = None,
    logs: Annotated[
        bool, typer.Option("--logs", help="Log to the terminal instead of to files in the data folder.")
    ] = False,
) -> None:
    """Run the service and a worker per device until Ctrl-C.

    A process that dies is restarted. Its runs continue from their last snapshot.

    Examples:
        tuner up
        tuner up --workload my_tuning:MyWorkload
        tuner up --device cuda:0 --device cuda:1 --data-dir /data/tuner
    """
    from tuner.devices import choose_device, training_devices

    if auth == "off" and not is_loopback(host):
        raise InvalidValue(
            "--auth",
            value=auth,
            allowed=f"on or auto where the service listens on {host}",
            hint="Without a login, anyone who reaches it may do everything: that is for a loopback --host alone",
        )
    require("service", "worker", *_driver(database_url), user="tuner up")
    _check_database_url(database_url)
    for named in device or ():
        choose_device(named, environment=os.environ)
    stack = Stack(
        data_dir=data_dir.resolve(),
        database_url=database_url,
        host=host,
        port=free_port(host, wanted=port),
        devices=tuple(device or training_devices(os.environ)),
        workloads=tuple(workload or ()),
        auth=auth,
        public_url=public_url,
        allowed_hosts=tuple(allowed_host or _split_names(os.environ.get("TUNER_ALLOWED_HOSTS", ""))),
        log_files=not logs,
    )
    interrupt_on_termination()
    write_for_this_user()
    try:
        with running(stack, say=say) as supervisor:
            say(f"The service is at {stack.url}" + ("" if logs else f", the logs are in {stack.log_dir}") + ".")
            _say_how_to_connect(stack)
            say("Ctrl-C stops everything.")
            forever = threading.Event()
            while True:
                supervisor.check()
                forever.wait(_CHECK_SECONDS)
    except KeyboardInterrupt:
        say("Stopped.")


def _say_how_to_connect(stack: Stack) -> None:
    """Name the login command and the address, where commands need them."""
    from tuner.client import Client, NotLoggedIn, Profiles, canonical

    current = Profiles.default().current()
    with Client(stack.url) as client:
        try:
            client.people.me()
        except NotLoggedIn:
            known = f" < {stack.admin_token_file}" if stack.admin_token_file.exists() else ""
            say(f"It requires a login: `tuner login {stack.url}{known}`.")
            if is_loopback(stack.host) and stack.auth == "auto":
                say("If nobody else uses this machine, `tuner up --auth off` needs no login.")
            return
    if not os.environ.get("TUNER_URL") and canonical(stack.url) != (current or DEFAULT_URL):
        say(f"Commands use {current or DEFAULT_URL}; add `--url {stack.url}`, or set TUNER_URL, to use this service.")


def _split_names(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def interrupt_on_termination() -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C, and Ctrl-C even where the shell had it ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def serve(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: DatabaseUrl = "",
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    auth: Auth = "auto",
    public_url: PublicUrl = "",
    allowed_host: AllowedHosts = None,
    new_admin_token: Annotated[
        bool,
        typer.Option("--new-admin-token", help="Create a new token for the user admin, print it, and exit."),
    ] = False,
) -> None:
    """Run the service alone, in this process.

    Example:
        tuner serve --host 0.0.0.0 --database-url postgresql://db/tuner
    """
    require("service", *_driver(database_url), user="tuner serve")
    if port and not new_admin_token:
        free_port(host, wanted=port)
    arguments = ("--host", host, "--port", str(port), "--data-dir", str(data_dir))
    names = ",".join(allowed_host or ())
    given = {"TUNER_AUTH": auth, "TUNER_PUBLIC_URL": public_url, "TUNER_ALLOWED_HOSTS": names}
    os.environ |= {name: value for name, value in given.items() if value}
    _become(
        "tuner_service", (*arguments, *(["--new-admin-token"] if new_admin_token else ())), database_url=database_url
    )


def worker(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: DatabaseUrl = "",
    device: Annotated[
        str, typer.Option("--device", envvar="TUNER_DEVICE", metavar="DEVICE", help="auto, cpu or cuda:N.")
    ] = "auto",
    name: Annotated[
        str,
        typer.Option(
            "--name",
            envvar="TUNER_WORKER_NAME",
            metavar="NAME",
            show_default="HOST-DEVICE",
            help="Name of the worker, unique and the same after a restart.",
        ),
    ] = "",
    workload: Workloads = None,
    runner_user: Annotated[
        str,
        typer.Option(
            "--runner-user",
            envvar="TUNER_RUNNER_USER",
            metavar="USER",
            show_default="the worker's own",
            help="User that training code runs as.",
        ),
    ] = "",
) -> None:
    """Run one worker for one device, in this process.

    Further settings come from the environment: docs/worker.md.

    Example:
        tuner worker --device cuda:0 --workload my_tuning:MyWorkload
    """
    require("worker", *_driver(database_url), user="tuner worker")
    arguments = ["--device", device, "--data-dir", str(data_dir)]
    if name:
        arguments += ["--name", name]
    if runner_user:
        arguments += ["--runner-user", runner_user]
    for offered in workload or ():
        arguments += ["--workload", offered]
    _become("tuner_worker", tuple(arguments), database_url=database_url)


def _driver(database_url: str) -> tuple[str, ...]:
    """The extra that brings the database's driver."""
    return ("postgres",) if database_url.startswith("postgres") else ()


def _check_database_url(database_url: str) -> None:
    """Refuse what is no URL of a database before any process starts."""
    from tuner.store.db.engine import parse_url

    if database_url:
        parse_url(database_url)


def _become(module: str, arguments: tuple[str, ...], *, database_url: str) -> None:
    if database_url:  # not an argument: all users of the machine can read arguments, and the URL may hold a password
        os.environ["TUNER_DATABASE_URL"] = database_url
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
