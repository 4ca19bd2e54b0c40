"""The service's secret key, and the keys that are derived from it."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from tuner.errors import InvalidValue
from tuner_service.settings import MIN_SECRET_CHARACTERS, Settings

SECRET_FILE = "secret.key"


def secret_key(settings: Settings) -> bytes:
    """The service's secret: as it is set, or that of its file. It is made when none is named and none is there.

    Raises:
        InvalidValue: The file that is named cannot be read, or holds too little.
        OSError: The data folder cannot be written to.
    """
    given = settings.secret_key.get_secret_value()
    if given:
        return given.encode()
    named = settings.secret_key_file
    file = named or settings.data_dir / SECRET_FILE
    if named is None and not file.exists():
        _make(file)
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise InvalidValue("secret_key_file", value=str(file), allowed=f"a readable file ({error.strerror})") from error
    if len(key) < MIN_SECRET_CHARACTERS:
        allowed = f"a file with at least {MIN_SECRET_CHARACTERS} characters"
        raise InvalidValue("secret_key_file", value=str(file), allowed=allowed)
    return key


def derived(secret: bytes, *, purpose: str) -> bytes:
    """A key for one purpose: who learns one learns nothing of the others.

    Args:
        secret: The service's.
        purpose: What it is for; every use of the secret has its own.
    """
    return hmac.new(secret, f"schedule-tuner {purpose}".encode(), hashlib.sha256).digest()


def write_privately(file: Path, content: str) -> None:
    """Write a file that only its owner may read, whole or not at all, in place of what was there.

    Raises:
        OSError: The folder cannot be written to.
    """
    written = _written(file, content)
    written.replace(file)


def _make(file: Path) -> None:
    """Write a fresh key, unless another service has just done so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    written = _written(file, secrets.token_urlsafe(48) + "\n")
    try:
        os.link(written, file)
    except FileExistsError:
        pass
    finally:
        written.unlink()


def _written(file: Path, content: str) -> Path:
    """A new file beside another, which only its owner may read."""
    number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    with os.fdopen(number, "w", encoding="utf-8") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    return Path(name)
