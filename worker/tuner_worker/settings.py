"""Everything that can be set about a worker, in one frozen value."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tuner.durations import Duration
from tuner.errors import InvalidValue
from tuner.jobs.attempts import LOST_ATTEMPTS, MAX_LEASE_SECONDS
from tuner.text import is_storable

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class WorkerSettings(BaseSettings):
    """The settings of one worker, which serves one device, or several that each run gets together.

    Each is read from an environment variable ``TUNER_<NAME>``. Durations are seconds, or ISO 8601 (``PT10M``).
    """

    model_config = SettingsConfigDict(env_prefix="TUNER_", frozen=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Field(
        default=Path("tuner-data"), description="Folder for snapshots, logs and the lock of the worker's name."
    )
    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="Database that the service uses too; the file tuner.db in the data folder when empty.",
    )
    worker_name: str = Field(
        default="",
        pattern=rf"^$|{_NAME}",
        description="Name, unique among the workers and the same after a restart; <host>-<device> when empty.",
    )
    device: str = Field(
        default="auto",
        description="auto (the first CUDA device, else the CPU), cpu, cuda:<n>, or several together: cuda:0,cuda:1.",
    )
    workloads: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Workloads to offer besides built-in and installed ones: module:Class or .toml file, with commas.",
    )
    lease_time: Duration = Field(
        default=timedelta(seconds=30),
        le=timedelta(seconds=MAX_LEASE_SECONDS),
        description="A worker unheard of for this long loses its run to another; an hour at most.",
    )
    poll_interval: Duration = Field(
        default=timedelta(seconds=1), description="Pause between two reads of an empty queue, give or take a fifth."
    )
    start_limit: Duration = Field(
        default=timedelta(minutes=30),
        description="A run may take this long to its first update: loading data, building, compiling, validating.",
    )
    silence_limit: Duration = Field(
        default=timedelta(minutes=10),
        description="After that an update or a validation may take this long; the runner is then stuck, and killed.",
    )
    run_limit: Duration | None = Field(
        default=None, description="A run may take this long on this worker, else it fails; no limit when absent."
    )
    snapshot_interval: Duration = Field(
        default=timedelta(seconds=60), description="Least time between two snapshots of a run."
    )
    kill_grace: Duration = Field(
        default=timedelta(seconds=8), description="Time that a run has to stop by itself before its runner is killed."
    )
    outage_patience: Duration = Field(
        default=timedelta(minutes=10),
        description="A run is trained on for this long while the database is away; then its lease is lost.",
    )
    lost_attempts: int = Field(
        default=LOST_ATTEMPTS,
        ge=1,
        description="Attempts at a run in a row that may be lost to machines and outages while no snapshot of it moves "
        "on; set it for the service too.",
    )
    runner_memory_mb: int | None = Field(
        default=None,
        ge=256,
        description="Memory in MiB that the runner may use with all that it starts; no limit when absent.",
    )
    branch_memory_mb: int = Field(
        default=1024,
        ge=0,
        description="Memory in MiB for the states of shared prefixes; 0: each run trains its prefix itself.",
    )

    runner_user: str = Field(
        default="",
        description="User, by name or number, that training code runs as; the worker's own when empty. Needs root, or "
        "CAP_SETUID, CAP_SETGID and CAP_KILL.",
    )

    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Serve figures for Prometheus at this port, under /metrics; 0: do not."
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address to serve them at. They name workloads and devices, and ask for no login.",
    )

    @field_validator("data_dir")
    @classmethod
    def _in_utf8(cls, value: Path) -> Path:
        if not is_storable(str(value)):
            raise InvalidValue("TUNER_DATA_DIR", value=ascii(str(value)), allowed="a path in UTF-8")
        return value

    @field_validator("workloads", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def database(self) -> str:
        """URL of the database in use; it may hold a password."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir.resolve() / 'tuner.db'}"

    def name_on(self, device: str) -> str:
        """The worker's name when it serves a device (``"cpu"``, ``"cuda:1"``, ``"cuda:0,cuda:1"``)."""
        return self.worker_name or f"{socket.gethostname()}-{device.replace(':', '').replace(',', '-')}"
