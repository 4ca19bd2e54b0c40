"""A full, read-only or lost disk is told from an error of the code that wanted to write."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from tuner.disk import LEAST_FREE_BYTES, disk_trouble, is_disk_error


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE])
def test_what_only_a_disk_can_be_to_blame_for_is_its_error_also_behind_another_one(code: int) -> None:
    first = OSError(code, os.strerror(code), "/data/weights.pt")
    assert is_disk_error(first)
    later = RuntimeError("cannot save the weights")
    later.__context__ = first
    assert is_disk_error(later)


@pytest.mark.parametrize(
    "error",
    [None, ValueError("no"), FileNotFoundError(errno.ENOENT, "no such file"), PermissionError(errno.EACCES, "no")],
)
def test_an_error_of_the_code_is_none_of_the_disk(error: BaseException | None) -> None:
    assert not is_disk_error(error)


def test_errors_that_lead_to_each_other_end(tmp_path: Path) -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert not is_disk_error(one)


def test_a_folder_that_can_be_written_to_is_in_no_trouble_and_is_left_as_it_was(tmp_path: Path) -> None:
    assert disk_trouble(tmp_path) is None
    assert disk_trouble(tmp_path / "not" / "made" / "yet") is None
    assert list(tmp_path.iterdir()) == []


def test_a_disk_with_next_to_no_room_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, LEAST_FREE_BYTES - 1))
    assert disk_trouble(tmp_path) == f"the disk of {tmp_path} is full: 1,048,575 bytes are free"


def test_a_folder_that_takes_no_file_is_in_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    assert disk_trouble(tmp_path) == f"{tmp_path} cannot be written to: Read-only file system"


def test_a_folder_of_another_user_is_in_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    assert disk_trouble(tmp_path) is None
