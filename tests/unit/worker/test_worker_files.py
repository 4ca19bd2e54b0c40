"""The worker's files: the runner's output, the snapshots, the lock of its name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.driver.snapshot_folders import SnapshotFolders
from tuner.jobs.records import SnapshotRef
from tuner_worker.name_lock import NameTaken, lock_name
from tuner_worker.runner.log import FRESH_BYTES, TAIL_LINES, RunnerLog, printable


def say(log: RunnerLog, text: str) -> None:
    stdout, stderr = log.open()
    with stdout, stderr:
        stderr.write(text.encode())


def say_on_stdout(log: RunnerLog, data: bytes) -> None:
    stdout, stderr = log.open()
    with stdout, stderr:
        stdout.write(data)


class TestRunnerLog:
    def test_the_tail_begins_at_the_mark(self, tmp_path):
        log = RunnerLog(tmp_path / "logs")
        say(log, "before\n")
        log.mark("run 1")
        assert log.tail() == ""
        say(log, "after\n")
        assert log.tail() == "after"
        assert (tmp_path / "logs" / "stderr.log").read_text() == "before\n=== run 1\nafter\n"

    def test_the_tail_is_the_last_lines_with_any_content(self, tmp_path):
        log = RunnerLog(tmp_path)
        log.mark("run 1")
        say(log, "".join(f"line {number}\n" for number in range(100)))
        assert log.tail().splitlines() == [f"line {number}" for number in range(100 - TAIL_LINES, 100)]
        stdout, stderr = log.open()
        with stdout, stderr:
            stderr.write(b"\xff\xfe")
        assert log.tail().endswith("\\xff\\xfe")

    def test_a_file_past_the_limit_keeps_its_end_and_its_writer_goes_on(self, tmp_path):
        log = RunnerLog(tmp_path, limit_bytes=1000)
        log.mark("run 1")
        stdout, stderr = log.open()
        with stdout, stderr:
            stderr.write(b"x" * 5000 + b"the end")
            stderr.flush()
            log.trim()
            stderr.write(b" and more")
        text = (tmp_path / "stderr.log").read_text()
        assert len(text) == 509
        assert text.endswith("xthe end and more")
        assert log.tail().endswith("the end and more")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Grüße, 世界\u3000👩‍🔬\tdone\r\n".encode(), "Grüße, 世界\u3000👩‍🔬\tdone\r\n"),
        (b"\x1b[1;31mred\x1b[0m and \x1b]0;title\x07plain", "red and plain"),
        (b"\x00\x07\x08\x7f\x1b\xc2\x85", "\\x00\\x07\\x08\\x7f\\x1b\\x85"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("left\u202eright\u2028".encode(), "left\\u202eright\\u2028"),
    ],
)
def test_output_of_any_kind_does_nothing_to_a_terminal(data, text):
    assert printable(data) == text


class TestFreshOutput:
    def test_what_was_printed_since_the_mark_comes_once_the_output_first(self, tmp_path):
        log = RunnerLog(tmp_path)
        say(log, "of an earlier run\n")
        log.mark("run 1")
        assert log.fresh(to_the_end=True) == ""
        say(log, "a warning\n")
        say_on_stdout(log, b"epoch 1\n")
        assert log.fresh(to_the_end=False) == "epoch 1\na warning\n"
        assert log.fresh(to_the_end=False) == ""
        say_on_stdout(log, b"epoch 2\n")
        assert log.fresh(to_the_end=False) == "epoch 2\n"

    def test_an_earlier_workers_output_is_not_of_this_run(self, tmp_path):
        say(RunnerLog(tmp_path), "long ago\n")
        assert RunnerLog(tmp_path).fresh(to_the_end=True) == ""

    def test_a_line_comes_when_it_has_ended_or_when_there_is_no_more_to_come(self, tmp_path):
        log = RunnerLog(tmp_path)
        say_on_stdout(log, "whole\nhalf ä".encode()[:-1])
        assert log.fresh(to_the_end=False) == "whole\n"
        say_on_stdout(log, "ä".encode()[-1:])
        assert log.fresh(to_the_end=False) == ""
        assert log.fresh(to_the_end=True) == "half ä"

    def test_of_a_line_that_is_written_over_the_last_state_comes(self, tmp_path):
        log = RunnerLog(tmp_path)
        say_on_stdout(log, b"10 %\r50 %\r100 %\ndone\r\n1 of 9\r2 of 9\r")
        assert log.fresh(to_the_end=False) == "100 %\ndone\n2 of 9\n"

    def test_of_much_output_whole_lines_of_the_end_come_with_a_word_on_the_rest(self, tmp_path):
        log = RunnerLog(tmp_path)
        lines = "".join(f"line {number:06}\n" for number in range(10_000))
        say_on_stdout(log, lines.encode())
        notice, _, rest = log.fresh(to_the_end=False).partition("\n")
        assert lines.endswith(rest)
        assert rest.startswith("line ")
        assert FRESH_BYTES - 12 <= len(rest) <= FRESH_BYTES
        assert notice == f"[{len(lines) - len(rest):,} bytes left out: they are in the worker's own file]"
        assert log.fresh(to_the_end=True) == ""

    def test_one_endless_line_does_not_hold_the_rest_back(self, tmp_path):
        log = RunnerLog(tmp_path)
        say_on_stdout(log, b"x" * (3 * FRESH_BYTES))
        assert log.fresh(to_the_end=False).endswith("x" * FRESH_BYTES)
        say_on_stdout(log, b"\nnext\n")
        assert log.fresh(to_the_end=False) == "\nnext\n"

    def test_a_file_that_is_cut_down_repeats_nothing(self, tmp_path):
        log = RunnerLog(tmp_path, limit_bytes=100)
        say_on_stdout(log, b"old line\n" * 20)
        log.fresh(to_the_end=False)
        say_on_stdout(log, b"new line\n" * 2)
        log.trim()
        assert log.fresh(to_the_end=False) == "new line\n" * 2
        say_on_stdout(log, b"y" * 100)
        log.trim()
        assert log.fresh(to_the_end=True) == "y" * 50


class TestSnapshotFolders:
    def test_attempts_do_not_share_a_folder(self, tmp_path):
        folders = SnapshotFolders(tmp_path)
        assert folders.of("r", attempt=1) == tmp_path / "r" / "1"
        assert folders.of("r", attempt=2) == tmp_path / "r" / "2"

    def test_the_folder_of_an_attempt_is_absolute(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert SnapshotFolders(Path("data")).of("r", attempt=1) == tmp_path / "data" / "r" / "1"

    def test_a_sweep_deletes_what_is_over_and_nothing_else(self, tmp_path):
        folders = SnapshotFolders(tmp_path)
        for run in ("over", "open"):
            folder = folders.of(run, attempt=1)
            folder.mkdir(parents=True)
            (folder / "step-1.pt").touch()
        folders.sweep(lambda run: run == "over")
        assert [path.name for path in tmp_path.iterdir()] == ["open"]
        folders.discard("open")
        folders.discard("never there")
        assert list(tmp_path.iterdir()) == []

    def test_of_any_number_of_attempts_the_folder_of_the_latest_snapshot_stays(self, tmp_path):
        folders = SnapshotFolders(tmp_path)
        for attempt in range(1, 30):
            folder = folders.of("r", attempt=attempt)
            folder.mkdir(parents=True)
            (folder / "step-1.pt").touch()
        folders.discard_earlier("r", latest=None)
        folders.discard_earlier("r", latest=SnapshotRef(step=1, path="/another/disk/r/7/step-1.pt"))
        assert len(list((tmp_path / "r").iterdir())) == 29
        folders.discard_earlier("r", latest=SnapshotRef(step=1, path=str(tmp_path / "r" / "7" / "step-1.pt")))
        assert [path.name for path in (tmp_path / "r").iterdir()] == ["7"]
        folders.discard_earlier(
            "never there", latest=SnapshotRef(step=1, path=str(tmp_path / "never there" / "1" / "s"))
        )

    def test_a_sweep_of_nothing_does_nothing(self, tmp_path):
        SnapshotFolders(tmp_path / "none").sweep(lambda run: True)


class TestNameLock:
    def test_a_name_is_held_once_and_free_afterwards(self, tmp_path):
        with lock_name("w", folder=tmp_path):
            with (
                pytest.raises(NameTaken, match=f"process {os.getpid()} already works as 'w'"),
                lock_name("w", folder=tmp_path),
            ):
                pass
            with lock_name("v", folder=tmp_path):
                pass
        with lock_name("w", folder=tmp_path):
            pass

    def test_a_dead_process_holds_nothing(self, tmp_path):
        code = (
            "import os, sys; from pathlib import Path; from tuner_worker.name_lock import lock_name\n"
            "with lock_name('w', folder=Path(sys.argv[1])): os._exit(9)"
        )
        assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
        with lock_name("w", folder=tmp_path):
            pass
