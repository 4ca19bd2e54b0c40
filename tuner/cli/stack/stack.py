"""A service and its workers on this machine: their processes, and how they start."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuner.cli.options import DEFAULT_HOST, DEFAULT_PORT
from tuner.cli.stack.supervisor import Child, RestartPolicy, Supervisor
from tuner.errors import InvalidValue, TunerError
from tuner.filelock import file_lock

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Wildcard addresses, and an address at which a service that listens there is reached."""
_POLL_SECONDS = 0.5
_REMINDER_SECONDS = 15.0


class FolderInUse(TunerError):
    """Another process runs a service over this data folder.

    Args:
        folder: The data folder.
        holder: The id of that process.
    """

    def __init__(self, folder: Path, *, holder: str) -> None:
        self.folder = folder
        self.holder = holder
        super().__init__(
            f"--data-dir {folder} is in use by process {holder}. "
            "Use the service that it runs, stop it, or give another folder"
        )


def database_in(data_dir: Path) -> str:
    """The URL of the SQLite database of a data folder."""
    return f"sqlite:///{data_dir.resolve() / 'tuner.db'}"


def free_port(host: str, *, wanted: int = 0) -> int:
    """A port on which nothing listens.

    Without this check, a service that already runs there would pass for the one that starts.

    Args:
        host: The address to listen at.
        wanted: The port; 0 for any.

    Raises:
        InvalidValue: Another process listens on the wanted port, or the address is not one of this machine's.
    """
    name = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((name, wanted))
        except OSError as error:
            raise InvalidValue(
                "--port", value=wanted, allowed=f"free on {host} ({error.strerror})", hint="0 takes any free one"
            ) from error
        return int(probe.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A service and one worker per device, over one database."""

    data_dir: Path
    database_url: str = ""
    """``""``: a SQLite file in the data folder."""
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    devices: tuple[str, ...] = ("auto",)
    workloads: tuple[str, ...] = ()
    """Offered in addition to the built-in ones, as ``module:Class``."""
    auth: str = "auto"
    """``"auto"``, ``"on"`` or ``"off"``, as the service takes it."""
    public_url: str = ""
    """The address of the proxy in front of the service."""
    allowed_hosts: tuple[str, ...] = ()
    """Further host names of the service."""
    log_files: bool = True
    """Whether the processes log to files in the data folder, else to the standard error of this process."""

    @property
    def url(self) -> str:
        """Address of the service on this machine."""
        name = _EVERYWHERE.get(self.host.strip("[]"), self.host.strip("[]"))
        return f"http://[{name}]:{self.port}" if ":" in name else f"http://{name}:{self.port}"

    @property
    def admin_token_file(self) -> Path:
        """File in which the service leaves the token of the first admin when its output is no terminal."""
        return self.data_dir / "admin-token"

    @property
    def log_dir(self) -> Path:
        """Folder of the log files."""
        return self.data_dir / "logs"

    def service(self) -> Child:
        """The service's process."""
        where = ("--host", self.host, "--port", str(self.port), "--data-dir", str(self.data_dir))
        access = {
            "TUNER_AUTH": self.auth,
            "TUNER_PUBLIC_URL": self.public_url,
            "TUNER_ALLOWED_HOSTS": ",".join(self.allowed_hosts),
        }
        return self._child("service", module="tuner_service", arguments=where, environment=access)

    def workers(self) -> tuple[Child, ...]:
        """The workers' processes, one per device."""
        offered = tuple(part for workload in self.workloads for part in ("--workload", workload))
        return tuple(
            self._child(
                "worker" if len(self.devices) == 1 else f"worker {device}",
                module="tuner_worker",
                arguments=("--device", device, "--data-dir", str(self.data_dir), *offered),
            )
            for device in self.devices
        )

    def _child(
        self, name: str, *, module: str, arguments: tuple[str, ...], environment: Mapping[str, str] | None = None
    ) -> Child:
        log = self.log_dir / f"{name.replace(' ', '-').replace(':', '')}.log"
        return Child(
            name=name,
            command=(sys.executable, "-m", module, *arguments),
            # Not an argument: all users of the machine can read arguments, and the URL may hold a password.
            environment={
                "TUNER_DATABASE_URL": self.database_url or database_in(self.data_dir),
                **(environment or {}),
            },
            log=log if self.log_files else None,
        )


@contextmanager
def running(stack: Stack, *, say: Callable[[str], None], policy: RestartPolicy | None = None) -> Iterator[Supervisor]:
    """Keep the stack's processes running inside the block, and stop them after it.

    The service starts first: it creates the tables that the workers need.

    Args:
        stack: What to run.
        say: Prints a line; called from another thread, too.
        policy: When a process that died is restarted; `RestartPolicy()` when absent.

    Raises:
        FolderInUse: Another process runs a service over the same data folder.
        ChildFailed: The service dies again and again.
    """
    lock = file_lock(stack.data_dir / "up.lock", error=lambda holder: FolderInUse(stack.data_dir, holder=holder))
    with lock, Supervisor(say=say, policy=policy) as supervisor:
        say("Starting the service ...")
        supervisor.add(stack.service())
        wait_until_ready(stack.url, supervisor=supervisor, say=say)
        for child in stack.workers():
            say(f"Starting the {child.name} ...")
            supervisor.add(child)
        yield supervisor


def wait_until_ready(
    url: str,
    *,
    supervisor: Supervisor,
    say: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until the service is ready, for as long as its process is kept running.

    Args:
        url: Address of the service.
        supervisor: Keeps its process running.
        say: Prints a line: from time to time, what the service is waited for.
        clock: Monotonic seconds.

    Raises:
        ChildFailed: The service dies again and again.
    """
    from tuner.client import ApiProblem, Client, ServiceUnreachable

    began = reminded = clock()
    with Client(url) as client:
        while True:
            supervisor.check()
            try:
                return client.wait_ready(_POLL_SECONDS)
            except (ServiceUnreachable, ApiProblem) as error:
                if clock() - reminded >= _REMINDER_SECONDS:
                    reminded = clock()
                    runs = "runs and does not respond yet" if "service" in supervisor.pids() else "is being restarted"
                    state = str(error).rstrip(".") if isinstance(error, ApiProblem) else f"its process {runs}"
                    say(f"Waiting for the service, {reminded - began:.0f} s so far: {state}.")
