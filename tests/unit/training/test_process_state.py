"""What a run changes of its process is put back, or told."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tuner.training.runner.process_state import ProcessState


@pytest.fixture
def state():
    state = ProcessState()
    yield state
    state.restore()


def test_a_process_that_is_as_before_has_nothing_left_behind(state):
    assert state.restore() == ""


def test_folder_mask_environment_streams_and_signals_are_put_back(state, tmp_path, monkeypatch):
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("CHANGED", "1")
    state = ProcessState()
    folder, stdout, handler = os.getcwd(), sys.stdout, signal.getsignal(signal.SIGTERM)
    os.chdir(tmp_path)
    os.umask(0o777)
    os.environ["CHANGED"] = "2"
    os.environ["NEW"] = "3"
    del os.environ["KEPT"]
    sys.stdout = None
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    assert state.restore() == ""

    assert (os.getcwd(), sys.stdout, signal.getsignal(signal.SIGTERM)) == (folder, stdout, handler)
    assert (os.environ["KEPT"], os.environ["CHANGED"], os.environ.get("NEW")) == ("1", "1", None)
    (tmp_path / "file").touch()
    assert (tmp_path / "file").stat().st_mode & 0o600 == 0o600


def test_replaced_functions_are_restored_and_reported(state):
    dumps, opened = json.dumps, open
    json.dumps = os.write = None
    assert state.restore() == "json.dumps replaced, os.write replaced"
    assert (json.dumps, open) == (dumps, opened)


def test_a_thread_that_goes_on_is_reported(state):
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="endless")
    thread.start()
    try:
        assert state.restore() == "the thread 'endless'"
    finally:
        done.set()
        thread.join()
    assert state.restore() == ""


def test_threads_that_libraries_keep_on_the_side_may_stay_until_they_work(state):
    started, done = threading.Event(), threading.Event()
    threading.Thread(target=done.wait, daemon=True).start()
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        pool.submit(int).result()
        idle = state.restore()
        pool.submit(lambda: started.set() or done.wait())
        started.wait()
        busy = state.restore()
        done.set()
    assert (idle, busy) == ("", "the thread 'pool_0'")


def test_a_process_that_cannot_be_restored_is_reported(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    state = ProcessState()
    monkeypatch.chdir(tmp_path)
    gone.rmdir()
    assert state.restore().startswith("a process that cannot be restored (FileNotFoundError")
