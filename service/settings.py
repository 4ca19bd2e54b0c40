"""What the service can be told: built once where the process starts, and passed down."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tuner.errors import InvalidValue
from tuner.loopback import is_loopback


class Settings(BaseSettings):
    """Settings of the service, from the command line or from environment variables with the prefix ``TUNER_``."""

    model_config = SettingsConfigDict(env_prefix="TUNER_", frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address to listen on. Loopback only.")
    port: int = Field(default=8642, ge=0, le=65_535, description="TCP port to listen on; 0 takes a free one.")
    data_dir: Path = Field(default=Path("tuner-data"), description="Folder of the SQLite file.")
    database_url: str = Field(
        default="", description="SQLAlchemy URL of the database; the file `tuner.db` in the data folder when empty."
    )
    event_poll_interval: timedelta = Field(
        default=timedelta(seconds=0.25),
        gt=timedelta(0),
        description="How often an open event stream looks for new events.",
    )
    reap_interval: timedelta = Field(
        default=timedelta(seconds=2),
        gt=timedelta(0),
        description="How often leases past their time are taken back.",
    )
    shutdown_grace: timedelta = Field(
        default=timedelta(seconds=3),
        ge=timedelta(seconds=1),
        description="How long requests under way may take once the service has been told to stop.",
    )

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, host: str) -> str:
        if not is_loopback(host):
            raise InvalidValue(
                "host",
                value=host,
                allowed="a loopback address: 127.0.0.1, ::1 or localhost",
                hint="The service cannot tell users apart yet, so whoever reaches it may do everything. Bind it to "
                "127.0.0.1 and reach it from elsewhere through an SSH tunnel: ssh -L 8642:127.0.0.1:8642 this-machine",
            )
        return host

    @property
    def database(self) -> str:
        """URL of the database in use."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'tuner.db'}"
