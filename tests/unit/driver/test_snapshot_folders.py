from __future__ import annotations

import os
from pathlib import Path

import pytest

from tuner.driver.snapshot_folders import SnapshotFolders


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_no_other_user_enters_the_folder_of_snapshots(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        SnapshotFolders(tmp_path / "snapshots").of("r1", attempt=1)
    finally:
        os.umask(before)
    assert (tmp_path / "snapshots").stat().st_mode & 0o777 == 0o700
