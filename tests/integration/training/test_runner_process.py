from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tuner.training.protocol import PROTOCOL_VERSION, Evaluated, Outcome
from tuner.workloads import builtin_workloads


class TestConversation:
    def test_it_says_what_it_offers(self, runner):
        assert runner.hello.protocol == PROTOCOL_VERSION
        assert runner.hello.pid == runner.process.pid
        assert runner.hello.device == "cpu"
        named = {"heavy", "noisy", "quitting", "stuck"}
        assert {info.name for info in runner.hello.workloads} == named | builtin_workloads().keys()

    def test_what_training_code_prints_stays_out_of_the_messages(self, runner, make_request):
        ended, evaluated = runner.train(make_request("noisy"))
        assert ended.outcome is Outcome.SUCCEEDED
        assert ended.loss == evaluated[-1].point.val_loss != 0.0

    def test_it_is_ready_again_after_training_code_that_quits(self, runner, make_request):
        ended, _ = runner.train(make_request("quitting"))
        assert (ended.outcome, ended.reason) == (Outcome.FAILED, "SystemExit: that is all")
        assert runner.train(make_request("noisy"))[0].outcome is Outcome.SUCCEEDED

    def test_two_runs_in_one_runner_equal_each_other(self, runner, make_request):
        assert runner.train(make_request("heavy"))[0].loss == runner.train(make_request("heavy"))[0].loss

    def test_ctrl_c_in_the_terminal_is_left_to_the_worker(self, runner, make_request):
        runner.process.send_signal(signal.SIGINT)
        assert runner.train(make_request("noisy"))[0].outcome is Outcome.SUCCEEDED


class TestEnd:
    def test_it_ends_well_when_the_worker_closes_the_pipe(self, start_runner):
        runner = start_runner()
        runner.hang_up()
        assert runner.wait() == 0

    def test_it_ends_at_once_when_the_pipe_is_closed_in_the_middle_of_a_run(self, start_runner, make_request):
        runner = start_runner()
        runner.send(make_request("heavy", total_steps=100_000_000))
        assert isinstance(runner.receive(), Evaluated)
        runner.hang_up()
        assert runner.wait() == 1

    def test_sigterm_ends_it(self, start_runner, make_request):
        runner = start_runner()
        runner.send(make_request("stuck"))
        runner.process.terminate()
        assert runner.wait() == -signal.SIGTERM

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
    @pytest.mark.faults
    def test_it_dies_with_its_worker_while_training_code_is_stuck(self, runner_script, make_request):
        worker = subprocess.Popen(
            [sys.executable, "-c", runner_script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with worker:
            worker.stdin.write(make_request("stuck").model_dump_json() + "\n")
            worker.stdin.flush()
            pid = int(worker.stdout.readline())
            assert _alive(pid)
            worker.kill()
            worker.wait()
        deadline = time.monotonic() + 60
        while _alive(pid):
            assert time.monotonic() < deadline, "the runner outlived its worker"
            os.sched_yield()


@pytest.mark.faults
def test_kill_9_while_snapshots_are_written_leaves_one_that_resumes_exactly(
    start_runner, runner, make_request, tmp_path
):
    whole, _ = runner.train(make_request("heavy", total_steps=200))

    for attempt, kill_after in enumerate((3, 8)):
        saved = []
        victim = start_runner()

        def kill(message, *, saved=saved, victim=victim, kill_after=kill_after):
            saved.append(message)
            if len(saved) == kill_after:
                victim.process.kill()

        folder = str(tmp_path / f"attempt-{attempt}")
        after_every_update = {"total_steps": 200, "snapshot_dir": folder, "snapshot_seconds": 1e-9}
        ended, before = victim.train(make_request("heavy", **after_every_update), on_snapshot=kill)
        assert ended is None
        rest, evaluated = runner.train(make_request("heavy", total_steps=200, resume=saved[-1].snapshot))
        assert rest.loss == whole.loss
        told = sum(message.updates for message in (*before, *saved, *evaluated)) + rest.updates
        assert told in (200, 201)  # 201 when the kill fell between an evaluation and the snapshot after it


def _alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped by its new parent does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
