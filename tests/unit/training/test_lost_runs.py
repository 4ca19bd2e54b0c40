"""Whether a run has failed for its machine or for its code."""

from __future__ import annotations

import errno
import os

import pytest

from tuner.errors import WorkloadError
from tuner.training.commands.command_process import CommandKilled
from tuner.training.runner import lost
from tuner.training.runner.lost import reason_lost


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights.pt"),
        OSError(errno.EROFS, os.strerror(errno.EROFS), "weights.pt"),
        CommandKilled("'train' was killed by signal 9"),
        RuntimeError("DataLoader worker (pid 4711) is killed by signal: Killed. "),
    ],
)
def test_what_the_code_cannot_be_blamed_for_is_the_machines(error, tmp_path):
    assert reason_lost(error, folder=tmp_path) is not None


@pytest.mark.parametrize(
    "error",
    [
        WorkloadError("'train' ended with exit code 3"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "train.bin"),
        PermissionError(errno.EACCES, "Permission denied", "/root"),
        RuntimeError("DataLoader worker (pid 4711) is killed by signal: Segmentation fault. "),
        SystemExit(0),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    ],
)
def test_what_happens_again_in_every_attempt_is_the_codes(error, tmp_path):
    assert reason_lost(error, folder=tmp_path) is None


def test_any_error_is_the_machines_while_nothing_can_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr(lost, "disk_trouble", lambda folder: f"the disk of {folder} is full: 0 bytes are free")
    reason = reason_lost(RuntimeError("unexpected pos 64 vs 0"), folder=tmp_path)
    assert reason == f"Nothing could be written: the disk of {tmp_path} is full: 0 bytes are free"
