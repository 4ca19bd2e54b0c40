"""Settings of the service, created once when the process starts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from limits import parse
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tuner.durations import Duration
from tuner.errors import InvalidValue
from tuner.jobs.attempts import LOST_ATTEMPTS
from tuner.loopback import is_loopback

MIN_SECRET_CHARACTERS = 32

Names = Annotated[tuple[str, ...], NoDecode]
"""A comma-separated list in the environment."""


class Settings(BaseSettings):
    """Settings of the service, from the command line or from environment variables with the prefix ``TUNER_``.

    Durations are seconds, or ISO 8601 (``PT10M``).
    """

    model_config = SettingsConfigDict(env_prefix="TUNER_", frozen=True, extra="ignore")

    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; off loopback a login is needed."
    )
    port: int = Field(default=8642, ge=0, le=65_535, description="TCP port to listen on; 0 takes a free one.")
    data_dir: Path = Field(default=Path("tuner-data"), description="Folder of the SQLite file and of the secret key.")
    database_url: str = Field(
        default="", description="SQLAlchemy URL of the database; the file `tuner.db` in the data folder when empty."
    )
    auth: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether a login is needed; `auto`: everywhere but on loopback with SQLite and no proxy.",
    )
    public_url: str = Field(
        default="", description="Where people reach the service, when a proxy stands before it: https://tuner.example."
    )
    allowed_hosts: Names = Field(
        default=(), description="Further names that the Host header may have: those that other machines use."
    )
    trusted_proxies: Names = Field(
        default=(), description="Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""), description="Signs forms and derives webhook keys; the same for all services."
    )
    secret_key_file: Path | None = Field(
        default=None, description="File with the secret key; `secret.key` in the data folder, made when it is absent."
    )
    session_lifetime: Duration = Field(default=timedelta(days=7), description="How long a browser stays logged in.")
    rate_limit: str = Field(
        default="6000/minute",
        description="Requests of one user by all tokens, or of one address without a login; empty for none.",
    )
    login_rate_limit: str = Field(
        default="20/minute", description="Refused tokens and logins of one address; empty for none."
    )
    stream_limit: int = Field(default=100, ge=1, description="Event streams of one user that are open at a time.")
    expensive_limit: int = Field(
        default=8,
        ge=1,
        description="Expensive requests of one user at a time, four times as many in all: exports, reports, previews "
        "of jobs, the dashboard's data.",
    )
    body_limit: int = Field(
        default=2**20,
        ge=1024,
        description="Bytes of a request's body at most. Bodies under way: 8 times as many of one user, 64 times in "
        "all.",
    )
    connection_limit: int = Field(
        default=500, ge=8, description="Connections in all; above, the one that waits longest for a request is closed."
    )
    connection_limit_per_address: int = Field(
        default=200, ge=4, description="The same for one address that is not a trusted proxy."
    )
    header_timeout: Duration = Field(
        default=timedelta(seconds=10),
        description="Time for a client to send a request's headers.",
    )
    body_timeout: Duration = Field(default=timedelta(seconds=30), description="Time for a client to send the body.")
    write_timeout: Duration = Field(
        default=timedelta(seconds=30),
        description="Time for a client to read more of a response.",
    )
    event_retention: Duration = Field(default=timedelta(days=30), description="How long events are stored.")
    webhooks_allow_private: bool = Field(
        default=False, description="Whether webhooks may call loopback and private addresses."
    )
    event_poll_interval: Duration = Field(
        default=timedelta(seconds=0.25),
        description="Poll interval of an open event stream.",
    )
    reap_interval: Duration = Field(
        default=timedelta(seconds=2),
        description="Interval at which expired leases are released.",
    )
    lost_attempts: int = Field(
        default=LOST_ATTEMPTS,
        ge=1,
        description="Attempts at a run in a row that may be lost to machines and outages while no snapshot of it moves "
        "on; set it for the workers too.",
    )
    shutdown_grace: Duration = Field(
        default=timedelta(seconds=3),
        ge=timedelta(seconds=1),
        description="How long running requests may take after the service was asked to stop.",
    )

    @field_validator("allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, names: Any) -> Any:
        return tuple(name.strip() for name in names.split(",") if name.strip()) if isinstance(names, str) else names

    @field_validator("public_url")
    @classmethod
    def _origin_only(cls, url: str) -> str:
        if url.rstrip("/") != _origin(url):
            allowed = "http:// or https:// and a host, without a path"
            raise InvalidValue("public_url", value=url, allowed=allowed, hint="As in https://tuner.example.org")
        return _origin(url)

    @field_validator("rate_limit", "login_rate_limit")
    @classmethod
    def _rate(cls, rate: str) -> str:
        try:
            if rate:
                parse(rate)
        except ValueError as error:
            allowed = "a number per second, minute, hour or day, or empty"
            raise InvalidValue("rate limit", value=rate, allowed=allowed, hint="As in 100/minute") from error
        return rate

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, key: SecretStr) -> SecretStr:
        if 0 < len(key.get_secret_value()) < MIN_SECRET_CHARACTERS:
            raise InvalidValue(
                "secret_key",
                value="a shorter one",
                allowed=f"at least {MIN_SECRET_CHARACTERS} characters, or empty",
                hint="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )
        return key

    @model_validator(mode="after")
    def _no_open_door(self) -> Settings:
        if self.auth == "off" and self.is_exposed:
            raise InvalidValue(
                "auth",
                value=self.auth,
                allowed="on or auto where other machines reach the service: it listens on more than loopback, or "
                "public_url, allowed_hosts or trusted_proxies are set",
                hint="Without a login everyone who reaches the service may do everything: that is for loopback alone. "
                "Else bind it to 127.0.0.1 and use an SSH tunnel: ssh -L 8642:127.0.0.1:8642 this-machine",
            )
        return self

    @property
    def database(self) -> str:
        """URL of the database in use."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'tuner.db'}"

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)

    @property
    def is_exposed(self) -> bool:
        """Whether other machines reach the service, be it through a proxy."""
        return not self.on_loopback or bool(self.public_url or self.allowed_hosts or self.trusted_proxies)

    @property
    def login_needed(self) -> bool:
        """Whether every request must say who makes it."""
        if self.auth == "auto":
            return self.is_exposed or not self.database.startswith("sqlite")
        return self.auth == "on"

    @property
    def secure_cookies(self) -> bool:
        """Whether people reach the service by HTTPS alone."""
        return self.public_url.startswith("https://")


def _origin(url: str) -> str:
    """Scheme and host of a URL with its port; empty when it is not HTTP."""
    try:
        parts = urlsplit(url)
        named = parts.hostname and parts.port != 0 and not parts.username
    except ValueError:  # a port that is no number, half an IPv6 address
        return ""
    return f"{parts.scheme}://{parts.netloc}" if named and parts.scheme in {"http", "https"} else ""
