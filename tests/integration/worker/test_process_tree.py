"""Processes that training code starts, on this machine: found wherever they went, and ended."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.harness import is_alive, wait_until
from tuner.driver.process_memory import ProcessMemory
from tuner_worker.runner.process_tree import ProcessTree, is_helper

Start = Callable[..., tuple[subprocess.Popen[bytes], dict[str, int]]]
PRELUDE = """
import mmap, os, signal, sys, time
def ready(name):
    with open(os.path.join(sys.argv[1], name + ".tmp"), "w") as file: file.write(str(os.getpid()))
    os.rename(os.path.join(sys.argv[1], name + ".tmp"), os.path.join(sys.argv[1], name))
def sleep(name):
    ready(name)
    time.sleep(120)
    os._exit(0)
"""


@pytest.fixture
def tree(tmp_path: Path) -> ProcessTree:
    return ProcessTree(str(tmp_path))


@pytest.fixture
def start(tree: ProcessTree, tmp_path: Path) -> Iterator[Start]:
    """Start a script as a runner is started, and wait until the named processes are up."""
    leaders = []

    def start(code: str, *names: str, marked: bool = True) -> tuple[subprocess.Popen[bytes], dict[str, int]]:
        environment = dict(tree.environment) if marked else {}
        script = PRELUDE + textwrap.dedent(code)
        arguments = [sys.executable, "-I", "-S", "-c", script, str(tmp_path)]
        leader = subprocess.Popen(arguments, env=environment, start_new_session=True)
        leaders.append(leader)
        wait_until(lambda: all((tmp_path / name).exists() for name in names), what="the processes")
        return leader, {name: int((tmp_path / name).read_text()) for name in names}

    yield start
    for leader in leaders:
        leader.kill()
        leader.wait()


DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: sleep("daemon")
    os._exit(0)
if os.fork() == 0: sleep("child")
os.wait()
sleep("leader")
"""


def test_children_and_daemons_are_found_and_ended_and_nobody_elses(tree, start, tmp_path):
    leader, pids = start(DAEMON, "leader", "child", "daemon")
    other, others = start('sleep("other")', "other", marked=False)
    assert {process.pid for process in tree.processes(session=leader.pid)} == set(pids.values())
    assert ProcessTree(str(tmp_path) + "2").processes(session=None) == []

    tree.end(session=leader.pid, grace=5.0)

    assert not [pid for pid in pids.values() if is_alive(pid)]
    assert is_alive(others["other"])
    assert tree.processes(session=leader.pid) == []
    assert other.poll() is None


def test_who_ignores_the_request_is_killed_and_who_does_not_may_clean_up(tree, start, tmp_path):
    code = """
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sleep("stubborn")
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, lambda *_: (ready("cleaned"), os._exit(0)))
        sleep("tidy")
    sleep("leader")
    """
    leader, pids = start(code, "leader", "stubborn", "tidy")
    tree.end(session=leader.pid, grace=0.5)
    assert not [pid for pid in pids.values() if is_alive(pid)]
    assert (tmp_path / "cleaned").exists()


def test_what_is_marked_is_found_after_its_runner_is_gone(tree, start):
    leader, pids = start(DAEMON, "leader", "child", "daemon")
    leader.kill()
    leader.wait()
    assert {process.pid for process in tree.processes(session=None)} == {pids["child"], pids["daemon"]}
    tree.end(session=None, grace=0.0)
    assert not [pid for pid in pids.values() if is_alive(pid)]


def test_helpers_of_libraries_are_known_for_what_they_are(tree, start):
    code = """
    import subprocess
    helper = "import time; time.sleep(120) # from multiprocessing.resource_tracker import main;main(5)"
    subprocess.Popen([sys.executable, "-I", "-S", "-c", helper])
    sleep("leader")
    """
    leader, _ = start(code, "leader")

    def serving() -> list[bool]:
        return [is_helper(process) for process in tree.processes(session=leader.pid) if process.pid != leader.pid]

    wait_until(lambda: serving() == [True], what="the helper to be known")
    assert len(tree.processes(session=leader.pid)) == 2


def test_memory_is_that_of_all_descendants_and_what_they_share_counts_once(start):
    code = """
    size = 64 << 20
    block = mmap.mmap(-1, size)
    def fill():
        for page in range(0, size, mmap.PAGESIZE): block[page] = 1
    fill()
    for name in ("first", "second"):
        if os.fork() == 0:
            fill()
            sleep(name)
    sleep("leader")
    """
    leader, _ = start(code, "leader", "first", "second")
    memory = ProcessMemory(limit_mib=150)
    assert not memory.is_over_limit(leader.pid)
    assert 64 <= memory.peak_mib < 150
    assert ProcessMemory(limit_mib=40).is_over_limit(leader.pid)
    plain = ProcessMemory(limit_mib=None)
    assert not plain.is_over_limit(leader.pid)
    assert plain.peak_mib >= 3 * 64
    plain.begin()
    assert plain.peak_mib is None
