from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.integration.service.team import as_user
from tuner.store import Store
from tuner_service.auth.bootstrap_admin import make_first_admin
from tuner_service.process import REFUSED, main
from tuner_service.settings import Settings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    (tmp_path / "tuner.db").write_bytes(empty_database.read_bytes())
    return Settings(data_dir=tmp_path, auth="on")


def secret_in(text: str) -> str:
    return next(word for word in text.split() if word.startswith("stt_"))


def test_on_a_terminal_the_token_is_shown_once(settings: Settings, store: Store):
    first, second = Terminal(), Terminal()
    make_first_admin(settings, store=store, output=first)
    make_first_admin(settings, store=store, output=second)
    principal = store.people.authenticate(secret_in(first.getvalue()))
    assert principal is not None
    assert principal.runs_the_service
    assert second.getvalue() == ""
    assert not (settings.data_dir / "admin-token").exists()


def test_elsewhere_it_goes_into_a_file_and_never_into_the_output(settings: Settings, store: Store):
    output = io.StringIO()
    make_first_admin(settings, store=store, output=output)
    file = settings.data_dir / "admin-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert store.people.authenticate(file.read_text().strip())
    assert "stt_" not in output.getvalue()
    assert str(file) in output.getvalue()


def test_where_the_file_cannot_be_written_no_admin_is_made(settings: Settings, store: Store, tmp_path: Path):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="blocked"):
        make_first_admin(
            settings.model_copy(update={"data_dir": tmp_path / "blocked"}), store=store, output=io.StringIO()
        )
    assert store.people.users() == ()


def test_without_a_login_no_admin_is_created(settings: Settings, store: Store):
    make_first_admin(settings.model_copy(update={"auth": "off"}), store=store, output=io.StringIO())
    assert store.people.users() == ()


def test_a_service_off_loopback_accepts_its_first_token(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TUNER_")}
    command = [sys.executable, "-m", "tuner_service", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert process.stdout is not None
        first, listens = process.stdout.readline(), process.stdout.readline()
        assert first.startswith("First start."), (tmp_path / "log").read_text()
        port = listens.split()[4].rpartition(":")[2]
        secret = (tmp_path / "admin-token").read_text().strip()
        me = f"http://127.0.0.1:{port}/v1/me"
        assert httpx2.get(me).status_code == 401
        assert httpx2.get(me, headers=as_user(secret)).json()["user"] == "admin"
    finally:
        process.terminate()
        process.communicate()
    assert secret not in (tmp_path / "log").read_text() + first + listens


def test_a_lost_token_is_replaced_on_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--data-dir", str(tmp_path), "--new-admin-token"]) == 0
    secret = secret_in(capsys.readouterr().out)
    with closing(Store.open(Settings(data_dir=tmp_path).database)) as store:
        principal = store.people.authenticate(secret)
    assert principal is not None
    assert principal.runs_the_service


def test_an_unreadable_key_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNER_SECRET_KEY_FILE", str(tmp_path / "none"))
    assert main(["--data-dir", str(tmp_path)]) == REFUSED
    assert capsys.readouterr().err.startswith("secret_key_file must be a readable file")
