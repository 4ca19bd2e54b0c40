"""What other processes see of one that is private."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tuner.process.private import database_password, database_passwords, secrets_in

linux = pytest.mark.skipif(sys.platform != "linux", reason="what /proc shows is Linux's")


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("sqlite:////data/tuner.db", None),
        ("postgresql://db/tuner", None),
        ("postgresql://user@db/tuner", None),
        ("postgresql://user:pw@db/tuner", "pw"),
        ("postgresql+psycopg://user:p@:/w@db/tuner", "p@:/w"),
        ("postgresql://:pw@db/tuner", "pw"),
        ("postgresql//user:pw@db/tuner", "pw"),
    ],
)
def test_the_password_is_found_where_there_is_one(url, password):
    assert database_password(url) == password


def test_the_password_is_known_as_it_is_written_as_it_is_meant_and_as_libpq_reads_it():
    passwords = database_passwords("postgresql://u:a%2Fb@db/x", {"PGPASSWORD": "c"})
    assert passwords == ("a%2Fb", "a/b", "c")
    assert database_passwords("sqlite:///x.db", {}) == ()


def test_secrets_are_found_where_a_process_of_ours_has_them():
    environment = {"TUNER_DATABASE_URL": "postgresql://u:one@db/x", "PGPASSWORD": "two", "TUNER_SECRET_KEY": "three"}
    found = secrets_in(["up", "--database-url", "postgresql://u:four@db/x", "--url=http://h"], environment)
    assert found == {"one", "two", "three", "four"}
    assert secrets_in(["jobs"], {"PATH": "/bin"}) == frozenset()


def child(code: str, *arguments: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@linux
def test_a_secret_is_erased_where_the_kernel_shows_it_and_stays_where_the_process_reads_it():
    code = """
import ctypes, os
from pathlib import Path
from tuner.process.private import erase
erase(["s3cret-word"])
print("s3cret-word" in Path("/proc/self/environ").read_text(), "s3cret-word" in Path("/proc/self/cmdline").read_text())
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
print(os.environ["PGPASSWORD"], libc.getenv(b"PGPASSWORD").decode(), os.environ["URL"], os.environ["OTHER"])
print("OTHER=kept" in Path("/proc/self/environ").read_text())
"""
    environment = {"PGPASSWORD": "s3cret-word", "URL": "x://u:s3cret-word@h/s3cret-word", "OTHER": "kept"}
    lines = child(code, "--url", "s3cret-word", environment=environment).splitlines()
    assert lines == ["False False", "s3cret-word s3cret-word x://u:s3cret-word@h/s3cret-word kept", "True"]


@linux
def test_a_private_process_leaves_no_core_dump_and_no_file_for_others(tmp_path):
    code = """
import ctypes, os, resource, sys
from tuner.process.private import make_private, write_for_this_user
make_private()
write_for_this_user()
os.mkdir(sys.argv[1] + "/folder")
open(sys.argv[1] + "/folder/file", "w").close()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""
    assert child(code, str(tmp_path), environment={}) == "0 (0, 0)\n"
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "folder/file").stat().st_mode & 0o777 == 0o600
