from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from tuner.errors import InvalidValue
from tuner_service.auth.keys import derived, secret_key, write_privately
from tuner_service.settings import Settings

KEY = "0123456789abcdef0123456789abcdef"


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "new")
    key = secret_key(settings)
    assert len(key) >= 32
    assert secret_key(settings) == key
    assert stat.S_IMODE((tmp_path / "new" / "secret.key").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["secret.key"]


def test_services_that_start_together_agree_on_one_key(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: secret_key(settings), range(8)))) == 1


def test_a_key_that_is_set_goes_over_the_file(tmp_path: Path):
    assert secret_key(Settings(data_dir=tmp_path, secret_key=SecretStr(KEY))) == KEY.encode()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_named_is_read_and_never_made(tmp_path: Path):
    file = tmp_path / "key"
    settings = Settings(data_dir=tmp_path, secret_key_file=file)
    with pytest.raises(InvalidValue, match="secret_key_file must be a readable file"):
        secret_key(settings)
    file.write_text("short\n")
    with pytest.raises(InvalidValue, match="at least 32") as caught:
        secret_key(settings)
    assert "short" not in str(caught.value)
    file.write_text(f"{KEY}\n")
    assert secret_key(settings) == KEY.encode()


def test_each_purpose_has_its_own_key():
    keys = {derived(secret, purpose=purpose) for secret in (b"a", b"b") for purpose in ("session", "csrf")}
    assert len(keys) == 4


def test_a_private_file_is_replaced_whole(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("old")
    file.chmod(0o644)
    write_privately(file, "new")
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
