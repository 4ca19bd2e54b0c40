"""``tuner up``, ``tuner serve``, ``tuner worker``: the processes of an installation."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from tuner.cli.options import DEFAULT_DATA_DIR, DEFAULT_HOST, DEFAULT_PORT, DatabaseUrl, DataDir, Host, Port, Workloads
from tuner.cli.output import say
from tuner.cli.stack import Stack, free_port, running
from tuner.errors import InvalidValue

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
            show_default=False,
            help="cpu or cuda:N; one worker each. Repeatable; every CUDA device, else the CPU, when absent.",
        ),
    ] = None,
    workload: Workloads = None,
    logs: Annotated[
        bool, typer.Option("--logs", help="Log to the terminal instead of to files in the data folder.")
    ] = False,
) -> None:
    """Run the service and one worker per device; Ctrl-C stops them all.

    A process that dies is started again. Runs that were being trained go on from their last snapshot.
    """
    from tuner.devices import training_devices
    from tuner.loopback import is_loopback

    if not is_loopback(host):
        raise InvalidValue(
            "--host",
            value=host,
            allowed="a loopback address: 127.0.0.1, ::1 or localhost",
            hint="The service cannot tell users apart yet. From elsewhere, reach it through an SSH tunnel",
        )
    stack = Stack(
        data_dir=data_dir.resolve(),
        database_url=database_url,
        host=host,
        port=free_port(host, wanted=port),
        devices=tuple(device or training_devices(os.environ)),
        workloads=tuple(workload or ()),
        log_files=not logs,
    )
    interrupt_on_termination()
    try:
        with running(stack, tell=say) as supervisor:
            say(f"The service is at {stack.url}" + ("" if logs else f", the logs are in {stack.log_dir}") + ".")
            say("Ctrl-C stops everything.")
            forever = threading.Event()
            while True:
                supervisor.check()
                forever.wait(_CHECK_SECONDS)
    except KeyboardInterrupt:
        say("Stopped.")


def interrupt_on_termination() -> None:
    """Let SIGTERM and SIGHUP do what Ctrl-C does, and Ctrl-C also where a shell started this with it ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def serve(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: DatabaseUrl = "",
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
) -> None:
    """Run the service alone, in this process."""
    _become(
        "service",
        ("--host", host, "--port", str(port), "--data-dir", str(data_dir)),
        database_url=database_url,
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
            show_default=False,
            help="The same after every restart, unique among the workers; <host>-<device> when absent.",
        ),
    ] = "",
    workload: Workloads = None,
) -> None:
    """Run one worker for one device, in this process.

    Further settings are read from the environment: docs/worker.md.
    """
    arguments = ["--device", device, "--data-dir", str(data_dir)]
    if name:
        arguments += ["--name", name]
    for offered in workload or ():
        arguments += ["--workload", offered]
    _become("worker", tuple(arguments), database_url=database_url)


def _become(module: str, arguments: tuple[str, ...], *, database_url: str) -> None:
    if database_url:  # not an argument: everybody on the machine may read those, and it may hold a password
        os.environ["TUNER_DATABASE_URL"] = database_url
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])
