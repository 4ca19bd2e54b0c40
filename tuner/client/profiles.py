"""Stored logins: addresses of services and their tokens, in a file that only its owner may read."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from tuner.errors import InvalidValue

DEFAULT_URL = "http://127.0.0.1:8642"
"""Address of a service on this machine."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class _Content:
    current: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)


class Profiles:
    """Tokens by the address of their service.

    Args:
        path: The file. It is created at the first login, readable by its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def default(cls) -> Self:
        """Those of the current user: ``tuner/profiles.json`` in the configuration folder."""
        folder = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return cls(Path(folder) / "tuner" / "profiles.json")

    def current(self) -> str | None:
        """The address of the last login.

        Raises:
            InvalidValue: The file cannot be read.
        """
        return self._read().current

    def token(self, url: str) -> str | None:
        """The token stored for an address; never one for another address.

        Raises:
            InvalidValue: The file cannot be read.
        """
        return self._read().tokens.get(canonical(url))

    def store(self, url: str, *, token: str) -> None:
        """Store a token, and make its address the current one.

        Raises:
            InvalidValue: The existing file cannot be read.
            OSError: It cannot be written.
        """
        address = canonical(url)
        self._write(_Content(current=address, tokens={**self._read().tokens, address: token}))

    def forget(self, url: str) -> bool:
        """Delete the token of an address; return whether there was one.

        Raises:
            InvalidValue: The existing file cannot be read.
            OSError: It cannot be written.
        """
        address, content = canonical(url), self._read()
        if address not in content.tokens:
            return False
        self._write(
            _Content(
                current=None if content.current == address else content.current,
                tokens={known: token for known, token in content.tokens.items() if known != address},
            )
        )
        return True

    def _read(self) -> _Content:
        try:
            return TypeAdapter(_Content).validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return _Content()
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it was not written by `tuner login`"
            hint = f"This one cannot be used ({reason}). Remove it, and log in again"
            raise InvalidValue("the file of logins", value=str(self.path), allowed="readable", hint=hint) from error

    def _write(self, content: _Content) -> None:
        """Replace the file atomically; it is readable by its owner alone from the first byte on."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                json.dump(asdict(content), file, indent=2)
            temporary.replace(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def canonical(url: str) -> str:
    """The canonical form of an address: equal for addresses of the same service.

    Args:
        url: With scheme and host, well-formed.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    name = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{name}{port}{parts.path.rstrip('/')}"
