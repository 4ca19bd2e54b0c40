"""What may happen to the machine under a run: it never counts as a failure of the workload, and never ends a worker."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.harness import Gate, Site, WorkerProcess, is_alive, wait_until
from tuner.jobs.states import RunState

pytestmark = pytest.mark.faults


def runner_of(worker: WorkerProcess) -> int:
    """The worker's runner, as soon as there is one."""

    def runner() -> int | None:
        for child in psutil.Process(worker.process.pid).children():
            if "tuner.training.runner" in child.cmdline():
                return int(child.pid)
        return None

    return int(wait_until(runner, what="a runner"))


def wait_for_end(pid: int, *, what: str, reaped: bool = False) -> None:
    """Wait until a process runs no code any more; or until its parent knows."""
    wait_until(lambda: not (psutil.pid_exists(pid) if reaped else is_alive(pid)), what=what)


def test_a_run_outlives_any_number_of_kills_of_its_worker_and_its_runner_to_the_same_loss(
    site: Site, gate: Gate, undisturbed_loss: float
) -> None:
    run_id = site.enqueue("gated", options=gate.options)
    stops = [5, 15, 25, 35, 45]
    gate.move(stops[0])
    worker = site.worker()
    for place, step in enumerate(stops):
        runner = gate.wait_for_runner()
        if step > 5:
            site.wait_snapshot(run_id, step=step)
        gate.move(stops[place + 1] if place + 1 < len(stops) else 60)
        if place % 2:
            os.kill(runner, signal.SIGKILL)
        else:
            worker.kill()
            wait_for_end(runner, what="the runner to die with its worker")
            worker = site.worker()
    run = site.wait_over(run_id)

    assert (run.state, run.loss, run.error) == (RunState.SUCCEEDED, undisturbed_loss, None)
    assert (run.attempts, run.failed_attempts, run.lost_attempts) == (6, 0, 5)
    job = site.store.jobs.get(run.job_id)
    assert (job.failed_attempts, job.lost_attempts) == (0, 5)
    assert site.events("run.succeeded", run_id=run_id) == 1
    assert worker.alive


def test_a_run_that_never_gets_to_a_snapshot_is_given_up_after_the_lost_attempts_of_the_setting(
    site: Site, gate: Gate
) -> None:
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker(lost_attempts=2, snapshot_interval=3600)
    for _ in range(2):
        runner = gate.wait_for_runner()
        (gate.folder / "waiting").unlink()
        os.kill(runner, signal.SIGKILL)
    run = site.wait_over(run_id)
    assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.FAILED, 0, 2)
    assert run.error is not None
    assert run.error.startswith("given up after 2 attempts in a row that lost their worker")
    assert "SIGKILL" in run.error
    assert worker.alive


def test_a_worker_whose_runner_is_killed_in_its_first_starts_goes_on(site: Site) -> None:
    run_id = site.enqueue("gated", options={})
    worker = site.worker()
    for _ in range(4):  # more often than a runner may fail by itself
        runner = runner_of(worker)
        os.kill(runner, signal.SIGKILL)
        wait_for_end(runner, what="the worker to notice", reaped=True)
    run = site.wait_over(run_id)
    assert (run.state, run.attempts) == (RunState.SUCCEEDED, 1)
    assert len(worker.logged("runner.start_failed")) >= 1
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_a_worker_whose_log_folder_is_deleted_goes_on(site: Site, gate: Gate, undisturbed_loss: float) -> None:
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker()
    runner = gate.wait_for_runner()
    site.wait_snapshot(run_id, step=25)
    shutil.rmtree(site.folder / "logs")
    os.kill(runner, signal.SIGKILL)
    gate.open()
    run = site.wait_over(run_id)
    assert (run.state, run.loss, run.failed_attempts) == (RunState.SUCCEEDED, undisturbed_loss, 0)
    assert (site.folder / "logs" / "w1" / "stderr.log").exists()
    assert worker.alive


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


def test_a_worker_that_starts_on_a_full_disk_waits_and_goes_on_when_there_is_room(site: Site, small_disk: Path) -> None:
    filler = fill(small_disk)
    run_id = site.enqueue("gated", options={})
    worker = site.worker(data_dir=small_disk / "data")
    worker.wait_logged("disk.unavailable")
    assert site.run(run_id).attempts == 0
    filler.unlink()
    run = site.wait_over(run_id)
    assert (run.state, run.attempts, run.lost_attempts) == (RunState.SUCCEEDED, 1, 0)
    assert worker.alive


def test_a_run_that_fails_for_a_full_disk_is_not_failed_and_goes_on_when_there_is_room(
    site: Site, small_disk: Path
) -> None:
    run_id = site.enqueue("hostile", options={"how": "write_much", "folder": str(site.folder)})
    other = site.enqueue("gated", options={})
    worker = site.worker(data_dir=small_disk)
    first = worker.wait_logged("run.lost")
    assert "No space left on device" in first["reason"]
    worker.wait_logged("disk.unavailable")
    (site.folder / "enough").touch()
    (small_disk / "much").unlink()
    run = site.wait_over(run_id)
    assert (run.state, run.failed_attempts) == (RunState.SUCCEEDED, 0)
    assert run.lost_attempts >= 1
    assert site.wait_over(other).state is RunState.SUCCEEDED
    assert worker.alive


def test_a_worker_whose_data_folder_cannot_be_one_says_so_and_ends_with_2(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    worker = site.worker(data_dir=tmp_path / "file" / "data")
    assert worker.wait() == 2
    assert "data_dir must be a folder in which this user may write" in worker.logged("worker.failed")[0]["reason"]
