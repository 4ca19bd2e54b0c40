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
    """The service's secret, from the setting or from its file. The default file is created when it does not exist.

    Raises:
        InvalidValue: The file cannot be read, or is too short.
        OSError: The data folder cannot be written to.
    """
    setting = settings.secret_key.get_secret_value()
    if setting:
        return setting.encode()
    named = settings.secret_key_file
    file = named or settings.data_dir / SECRET_FILE
    if named is None and not file.exists():
        _create(file)
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise InvalidValue("secret_key_file", value=str(file), allowed=f"a readable file ({error.strerror})") from error
    if len(key) < MIN_SECRET_CHARACTERS:
        allowed = f"a file with at least {MIN_SECRET_CHARACTERS} characters"
        raise InvalidValue("secret_key_file", value=str(file), allowed=allowed)
    return key


def derived(secret: bytes, *, purpose: str) -> bytes:
    """A key for one purpose, independent of the keys for other purposes.

    Args:
        secret: The service's.
        purpose: Names the use of the key; each use has its own name.
    """
    return hmac.new(secret, f"schedule-tuner {purpose}".encode(), hashlib.sha256).digest()


def write_privately(file: Path, content: str) -> None:
    """Write a file that only its owner may read, atomically, replacing an existing file.

    Raises:
        OSError: The folder cannot be written to.
    """
    _temporary(file, content).replace(file)


def _create(file: Path) -> None:
    """Write a new key, unless another service has just done so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(file, secrets.token_urlsafe(48) + "\n")
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _temporary(file: Path, content: str) -> Path:
    """A new file in the same folder that only its owner may read."""
    number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    with os.fdopen(number, "w", encoding="utf-8") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    return Path(name)
