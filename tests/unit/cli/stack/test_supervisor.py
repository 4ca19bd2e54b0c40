import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tuner.cli.stack.supervisor import Child, ChildFailed, RestartPolicy, Supervisor

SLEEP = "import time; time.sleep(600)"
FAST = RestartPolicy(first_delay=0.01, longest_delay=0.02, deaths_in_a_row=3)


def child(name: str, code: str, *, log: Path | None = None, grace_seconds: float = 10.0) -> Child:
    return Child(name=name, command=(sys.executable, "-c", code), log=log, grace_seconds=grace_seconds)


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie that nobody reaps (as in a container without an init) does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


@pytest.fixture
def lines() -> list[str]:
    return []


class TestSupervisor:
    def test_a_killed_child_is_restarted_and_a_line_says_so(self, lines, until):
        with Supervisor(say=lines.append, policy=FAST) as supervisor:
            supervisor.add(child("sleeper", SLEEP))
            first = until(lambda: supervisor.pids().get("sleeper"))
            os.kill(first, signal.SIGKILL)
            second = until(lambda: supervisor.pids().get("sleeper") not in {None, first} and supervisor.pids())
            assert alive(second["sleeper"])
            supervisor.check()
        assert lines[0].startswith("The sleeper was killed by SIGKILL; restarting it in ")

    def test_a_child_that_keeps_failing_is_given_up_with_the_end_of_its_log(self, lines, until, tmp_path):
        log = tmp_path / "logs" / "broken.log"
        with Supervisor(say=lines.append, policy=FAST) as supervisor:
            supervisor.add(child("broken", "print('no database'); raise SystemExit(7)", log=log))
            until(lambda: _given_up(supervisor))
            with pytest.raises(ChildFailed, match=r"the broken keeps failing: no database\nIts log is .*broken.log$"):
                supervisor.check()
        assert len(lines) == FAST.deaths_in_a_row - 1
        assert lines[0].endswith(" s. Why: no database")

    def test_the_log_of_an_earlier_start_is_not_shown_as_the_reason(self, lines, until, tmp_path):
        log = tmp_path / "silent.log"
        log.write_text("of yesterday\n")
        with Supervisor(say=lines.append, policy=FAST) as supervisor:
            supervisor.add(child("silent", "raise SystemExit(7)", log=log))
            until(lambda: lines)
        assert lines[0].endswith(" s.")

    def test_a_child_that_refuses_its_command_line_is_not_tried_again(self, lines, until):
        with Supervisor(say=lines.append, policy=FAST) as supervisor:
            supervisor.add(child("refusing", "raise SystemExit(2)"))
            until(lambda: _given_up(supervisor))
        assert lines == []

    def test_a_log_that_cannot_be_written_is_named(self, lines, until, tmp_path):
        (tmp_path / "file").write_text("")
        with Supervisor(say=lines.append, policy=FAST) as supervisor:
            supervisor.add(child("logless", SLEEP, log=tmp_path / "file" / "child.log"))
            until(lambda: _given_up(supervisor))
            with pytest.raises(ChildFailed, match="cannot be started: "):
                supervisor.check()

    def test_children_stop_in_the_reverse_order_of_their_start(self, lines, until):
        with Supervisor(say=lines.append) as supervisor:
            supervisor.add(child("first", SLEEP))
            supervisor.add(child("second", SLEEP))
            pids = until(lambda: len(supervisor.pids()) == 2 and supervisor.pids())
        assert lines == ["The second has stopped.", "The first has stopped."]
        assert not any(alive(pid) for pid in pids.values())

    def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(self, lines, until, tmp_path):
        ready = tmp_path / "ready"
        stubborn = f"""
            import pathlib, signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            pathlib.Path({str(ready)!r}).touch()
            time.sleep(600)
        """
        with Supervisor(say=lines.append) as supervisor:
            supervisor.add(child("stubborn", textwrap.dedent(stubborn), grace_seconds=0.1))
            until(ready.exists)
            pid = supervisor.pids()["stubborn"]
        assert not alive(pid)

    def test_the_rest_of_a_dead_childs_process_group_is_killed(self, lines, until, tmp_path):
        note = tmp_path / "grandchild"
        parent = f"""
            import pathlib, subprocess, sys, time
            grandchild = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
            pathlib.Path({str(note)!r}).write_text(str(grandchild.pid))
            time.sleep(600)
        """
        with Supervisor(say=lines.append, policy=RestartPolicy(first_delay=60, longest_delay=60)) as supervisor:
            supervisor.add(child("parent", textwrap.dedent(parent)))
            until(lambda: note.exists() and note.read_text())
            os.kill(supervisor.pids()["parent"], signal.SIGKILL)
            until(lambda: not alive(int(note.read_text())), what="the end of the grandchild")

    def test_a_child_gets_its_environment(self, lines, until, tmp_path):
        log = tmp_path / "child.log"
        command = (sys.executable, "-uc", "import os, time; print(os.environ['ANSWER']); time.sleep(600)")
        with Supervisor(say=lines.append) as supervisor:
            supervisor.add(Child(name="child", command=command, environment={"ANSWER": "42"}, log=log))
            until(lambda: log.exists() and log.read_text() == "42\n")

    def test_a_parent_killed_outright_leaves_no_orphan(self, until):
        parent = f"""
            import sys, time
            from tuner.cli.stack.supervisor import Child, Supervisor
            with Supervisor(say=print) as supervisor:
                supervisor.add(Child(name="orphan", command=(sys.executable, "-c", {SLEEP!r})))
                while "orphan" not in supervisor.pids():
                    time.sleep(0.01)
                print(supervisor.pids()["orphan"], flush=True)
                time.sleep(600)
        """
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(parent)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            orphan = int(process.stdout.readline())
            until(lambda: Path(f"/proc/{orphan}/cmdline").read_bytes().startswith(sys.executable.encode() + b"\0-c"))
            process.kill()
        until(lambda: not alive(orphan), what="the end of the orphan")


class TestRestartPolicy:
    @pytest.mark.parametrize(("deaths", "delay"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (50, 30.0)])
    def test_the_delay_doubles_up_to_its_limit(self, deaths, delay):
        assert RestartPolicy().delay(deaths) == delay

    def test_a_child_that_was_steady_has_its_earlier_deaths_forgotten(self, lines, until):
        policy = RestartPolicy(first_delay=0.001, longest_delay=0.001, steady_seconds=0.0, deaths_in_a_row=3)
        with Supervisor(say=lines.append, policy=policy) as supervisor:
            supervisor.add(child("mayfly", "pass"))
            until(lambda: len(lines) > 2 * policy.deaths_in_a_row)
            supervisor.check()


def _given_up(supervisor: Supervisor) -> bool:
    try:
        supervisor.check()
    except ChildFailed:
        return True
    return False
