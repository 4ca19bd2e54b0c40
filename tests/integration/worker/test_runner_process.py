"""The worker's side of a runner, against processes that a script of ours plays: those that no real runner would be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass

import pytest

from tests.faults.harness import is_alive, wait_until
from tuner.driver.oom_killer import OomKiller
from tuner.driver.runner import RunnerDied
from tuner.training.protocol import PROTOCOL_VERSION, Directive, Ended, FromRunner, Hello
from tuner_worker.runner.exit_report import is_stopped
from tuner_worker.runner.log import RunnerLog
from tuner_worker.runner.process import RunnerCommand, RunnerProcess
from tuner_worker.runner.process_tree import ProcessTree
from tuner_worker.stop_request import StopRequest

PRELUDE = (
    f"""
PROTOCOL = {PROTOCOL_VERSION}
"""
    + """
import os, sys, time
out = int(sys.argv[1]); inn = int(sys.argv[2])
def say(text): os.write(out, text.encode() + b"\\n")
HELLO = '{"type": "hello", "protocol": %d, "pid": %d, "device": "cpu", "workloads": []}'
def hello(protocol=PROTOCOL): say(HELLO % (protocol, os.getpid()))
def ended(): say('{"type": "ended", "run_id": "r", "outcome": "succeeded", "step": 1, "updates": 1, "loss": 1.0}')
"""
)


@dataclass(frozen=True, kw_only=True)
class Script(RunnerCommand):
    """Runs a script in place of a runner."""

    code: str = ""

    def arguments(self, *, read_fd: int, write_fd: int) -> list[str]:
        code = PRELUDE + textwrap.dedent(self.code)
        return [sys.executable, "-I", "-S", "-c", code, str(write_fd), str(read_fd)]


def receive(runner: RunnerProcess) -> FromRunner | None:
    return runner.receive(timeout=60, until_stop=True)


@pytest.fixture
def stop():
    request = StopRequest()
    yield request
    request.close()


@pytest.fixture
def runner_of(tmp_path, stop):
    runners = []

    def make(code: str, **settings) -> RunnerProcess:
        command = Script(**({"device": "cpu", "environment": {"ONLY": "this"}, "code": code} | settings))
        runner = RunnerProcess(command, tree=ProcessTree(str(tmp_path)), log=RunnerLog(tmp_path / "logs"), stop=stop)
        runners.append(runner)
        return runner

    yield make
    for runner in runners:
        runner.kill()


def test_a_runner_serves_and_ends_by_itself_when_its_pipe_is_closed(runner_of, tmp_path):
    runner = runner_of(
        "hello(); os.read(inn, 1000); ended(); os.read(inn, 1000); open(os.environ['DONE'], 'w').close()"
    )
    assert not runner.alive
    assert isinstance(runner.start(timeout=60), Hello)
    assert runner.alive
    runner.send(Directive())
    assert isinstance(receive(runner), Ended)
    assert runner.receive(timeout=0.01, until_stop=False) is None
    runner.close()
    assert not runner.alive
    assert runner.pid is None
    assert "KeyError: 'DONE'" in (tmp_path / "logs" / "stderr.log").read_text()  # it ran on to its end


def test_a_runner_sees_the_given_environment_and_whose_it_is_and_nothing_else(runner_of):
    runner = runner_of("hello(); print(sorted(os.environ), file=sys.stderr); sys.exit(1)")
    runner.start(timeout=60)
    with pytest.raises(RunnerDied, match=r"\['(LC_CTYPE', ')?ONLY', 'TUNER_RUNNER_OF'\]"):
        receive(runner)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("hello(protocol=99)", f"it speaks version 99 of the protocol, not {PROTOCOL_VERSION}"),
        ("ended()", "its first message was 'ended', not 'hello'"),
        ("say('good morning')", "it broke the protocol: it sent b'good morning', which is no message"),
        ("print('no GPU', file=sys.stderr); sys.exit(4)", "with exit code 4 and no result\nLast .* output:\nno GPU"),
    ],
)
def test_a_runner_that_does_not_begin_with_hello_is_refused(runner_of, code, words):
    runner = runner_of(code)
    with pytest.raises(RunnerDied, match=words):
        runner.start(timeout=60)
    assert not runner.alive


def test_a_runner_that_is_not_ready_in_time_is_killed(runner_of):
    runner = runner_of("time.sleep(600)")
    with pytest.raises(RunnerDied, match=r"it was not ready within 0.2 s"):
        runner.start(timeout=0.2)
    assert runner.pid is None


def test_a_start_ends_when_the_worker_is_asked_to_stop(runner_of, stop):
    runner = runner_of("time.sleep(600)")
    asking = threading.Thread(target=lambda: wait_until(lambda: runner.pid, what="the process") and stop.request())
    asking.start()
    assert runner.start(timeout=600) is None
    asking.join()
    assert runner.pid is None


def test_a_death_is_reported_after_the_last_message_and_a_new_runner_can_start(runner_of):
    runner = runner_of("hello(); ended(); os.kill(os.getpid(), 11)")
    first = runner.start(timeout=60)
    assert isinstance(receive(runner), Ended)
    with pytest.raises(RunnerDied, match="killed by SIGSEGV"):
        receive(runner)
    assert not runner.alive
    with pytest.raises(RunnerDied, match="there is no runner"):
        runner.send(Directive())
    assert runner.start(timeout=60).pid != first.pid


def test_a_death_is_seen_although_a_forked_child_holds_the_pipe_open_and_the_child_goes_too(runner_of):
    code = """
    hello()
    child = os.fork()
    if child == 0:
        time.sleep(600)
    print(child, file=sys.stderr)
    sys.exit(5)
    """
    runner = runner_of(code)
    runner.start(timeout=60)
    with pytest.raises(RunnerDied, match="exit code 5") as died:
        receive(runner)
    child = int(str(died.value).splitlines()[-1])
    wait_until(lambda: not is_alive(child), what="the child to go")


def test_a_runner_that_is_ended_is_asked_first(runner_of, tmp_path):
    code = """
    import signal
    def clean_up(*_):
        open(os.environ["DONE"], "w").close()
        sys.exit(0)
    signal.signal(signal.SIGTERM, clean_up)
    hello()
    time.sleep(600)
    """
    runner = runner_of(code, environment={"DONE": str(tmp_path / "done")})
    runner.start(timeout=60)
    runner.kill()
    assert (tmp_path / "done").exists()


def test_what_an_earlier_runner_of_this_worker_left_is_ended_before_the_next_starts(runner_of, tmp_path):
    environment = {**os.environ, **ProcessTree(str(tmp_path)).environment}
    orphan = subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)
    runner = runner_of("hello(); os.read(inn, 1)")
    runner.start(timeout=60)
    assert orphan.wait(60) == -signal.SIGTERM
    assert runner.leftover_processes() == []


def test_a_stuck_runner_says_where_it_stands(runner_of):
    code = """
    import faulthandler
    faulthandler.enable()
    def turn():
        hello()
        time.sleep(600)
    print("before", file=sys.stderr, flush=True)
    turn()
    """
    runner = runner_of(code)
    runner.start(timeout=60)
    died = str(runner.killed("it is stuck", stuck=True))
    where, _, words = died.partition("\nLast lines of its error output:\n")
    assert where.startswith("the runner was killed: it is stuck\nWhere it stood (most recent call first):\n  File")
    assert " in turn\n" in where
    assert words == "before"


def test_a_runner_that_was_stopped_is_reported_and_is_ended(runner_of):
    runner = runner_of("hello(); os.kill(os.getpid(), 19)")
    pid = runner.start(timeout=60).pid
    wait_until(lambda: is_stopped(pid), what="the stop")
    assert "it was stopped by a signal, SIGSTOP or SIGTSTP" in str(runner.killed("it is stuck", stuck=True))
    assert not is_alive(pid)


def test_a_runner_that_the_kernel_killed_for_lack_of_memory_is_distinguished_from_one_that_was_killed(
    runner_of, tmp_path, monkeypatch
):
    kills = tmp_path / "proc" / "vmstat"
    kills.parent.mkdir()
    kills.write_text("oom_kill 4\n")
    monkeypatch.setattr("tuner_worker.runner.process.OomKiller", lambda: OomKiller(tmp_path))
    runner = runner_of("hello(); os.read(inn, 1)")
    for count, out_of_memory in ((4, False), (5, True)):
        pid = runner.start(timeout=60).pid
        runner.begin_run()
        kills.write_text(f"oom_kill {count}\n")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RunnerDied) as died:
            receive(runner)
        assert str(died.value).startswith("out of memory: the kernel killed the runner") is out_of_memory
        assert (died.value.shortage is not None) is out_of_memory
        assert not died.value.final


def test_a_runner_with_more_memory_than_it_may_have_is_killed_for_good(runner_of):
    code = """
    import mmap
    hello()
    block = mmap.mmap(-1, 512 << 20)
    for page in range(0, 512 << 20, mmap.PAGESIZE): block[page] = 1
    os.read(inn, 1)
    """
    runner = runner_of(code, memory_limit_mib=256)
    runner.start(timeout=60)
    runner.begin_run()
    with pytest.raises(RunnerDied, match="out of memory: with what it started") as died:
        receive(runner)
    assert died.value.final
    assert died.value.shortage.limit_mib == 256
    assert died.value.shortage.peak_mib > 256


def test_a_runner_leaves_no_core_file_and_on_cpu_cannot_ask_for_more_than_its_memory(runner_of):
    code = """
    import resource
    hello()
    sys.stdin.read()
    while resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY: time.sleep(0.01)
    print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20, file=sys.stderr)
    sys.exit(1)
    """
    runner = runner_of(code, memory_limit_mib=300)
    runner.start(timeout=60)
    with pytest.raises(RunnerDied, match=r"\(0, 0\) 300"):
        receive(runner)


def test_the_kernels_memory_killer_takes_a_runner_or_what_it_started_before_the_worker(runner_of):
    code = """
    hello()
    def score(pid): return int(open(f"/proc/{pid}/oom_score_adj").read())
    first_to_go = min(1000, score(os.getppid()) + 500)
    while score("self") != first_to_go: time.sleep(0.01)
    if os.fork() == 0:
        os._exit(score("self") == first_to_go)
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]) + 1)
    """
    runner = runner_of(code)
    runner.start(timeout=60)
    with pytest.raises(RunnerDied, match="exit code 2"):
        receive(runner)


def test_a_runner_that_closed_its_pipe_and_lives_on_is_killed_with_the_reason(runner_of, monkeypatch):
    monkeypatch.setattr("tuner_worker.runner.process._AFTER_CLOSE_SECONDS", 0.2)
    runner = runner_of("hello(); os.closerange(3, 100); time.sleep(600)")
    runner.start(timeout=60)
    with pytest.raises(RunnerDied, match=r"it closed its pipe but did not end \(training code must not"):
        receive(runner)


def test_a_runner_that_ended_while_idle_is_not_alive(runner_of):
    runner = runner_of("hello()")
    runner.start(timeout=60)
    wait_until(lambda: not runner.alive, what="its end to be seen")
    with pytest.raises(RunnerDied):
        receive(runner)


def test_a_program_that_cannot_be_run_is_reported(runner_of, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(RunnerDied, match=r"could not be started: .*No such file"):
        runner_of("hello()").start(timeout=60)


def test_nothing_of_a_runner_stays_open(runner_of):
    before = len(os.listdir("/proc/self/fd"))
    runner = runner_of("hello(); os.read(inn, 1)")
    for _ in range(3):
        runner.start(timeout=60)
        runner.kill()
    assert len(os.listdir("/proc/self/fd")) == before
