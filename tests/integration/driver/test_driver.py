"""The driver with runners that play their ends, on the real store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.store.builders import offer
from tuner.driver.driver import Driver, DriverSettings
from tuner.driver.prefetch_plan import PlanPrefetch
from tuner.driver.runner import RunnerDied
from tuner.driver.snapshot_folders import SnapshotFolders
from tuner.driver.supervisor import RunSupervisor
from tuner.driver.watchdog import RunTimeouts
from tuner.errors import DatabaseUnavailable
from tuner.jobs.records import CurvePoint, LeasedRun
from tuner.jobs.states import RunState
from tuner.training.protocol import Directive, Ended, Evaluated, Outcome, Train
from tuner.training.runner.out_of_memory import MemoryUse

OFFER = offer("w1", workloads={"gated": "1"})
LOST_LIMIT = 4
SHORTAGE = MemoryUse(peak_mib=900, limit_mib=1000, limit="of the test")
Play = Callable[[Train, RunSupervisor], Ended]


class Played:
    """A runner in a test's hands."""

    alive = True

    def __init__(self, play: Play) -> None:
        self.play = play
        self.memory: MemoryUse | None = None
        self.left: list[str] = []
        self.printed = ""
        self.ends: list[str] = []

    def train(self, request: Train, *, supervisor: RunSupervisor) -> Ended:
        return self.play(request, supervisor)

    def start(self, *, timeout: float) -> None:
        raise AssertionError("the driver does not start its runner")

    def shortage(self) -> MemoryUse | None:
        return self.memory

    def leftover_processes(self) -> list[str]:
        return self.left

    def output(self, *, to_the_end: bool) -> str:
        printed, self.printed = self.printed, ""
        return printed

    def close(self) -> None:
        self.ends.append("closed")

    def kill(self) -> bool:
        self.ends.append("killed")
        return True


class Bench:
    def __init__(self, site, *, folder) -> None:
        self.site = site
        self.run_id = site.enqueue("gated", options={"at_step": 7})
        self.runner = Played(succeed)
        self.stop = False
        self.driver = Driver(
            site.store,
            worker="w1",
            runner=self.runner,
            prefetch=PlanPrefetch(site.store, plan=lambda lock, ahead=False: None, executor=None),
            snapshots=SnapshotFolders(folder),
            settings=DriverSettings(
                lease_seconds=60,
                outage_seconds=60,
                snapshot_seconds=60,
                timeouts=RunTimeouts(start=60, silence=60, run=None, stop=60),
                lost_attempts=LOST_LIMIT,
            ),
            hide=lambda text: text.replace("s3cret", "***"),
            stop_requested=lambda: self.stop,
        )

    def work(self, play: Play) -> None:
        self.runner.play = play
        assert isinstance(self.driver.work(OFFER), LeasedRun)

    @property
    def run(self):
        return self.site.run(self.run_id)


@pytest.fixture
def bench(site, tmp_path) -> Bench:
    return Bench(site, folder=tmp_path / "driver-snapshots")


def point(step: int) -> CurvePoint:
    return CurvePoint(step=step, lr=0.1, train_loss=1.0, val_loss=0.5)


def succeed(request: Train, supervisor: RunSupervisor) -> Ended:
    return Ended(run_id=request.run_id, outcome=Outcome.SUCCEEDED, step=60, updates=20, loss=0.5)


def fail(request: Train, supervisor: RunSupervisor) -> Ended:
    return Ended(
        run_id=request.run_id,
        outcome=Outcome.FAILED,
        step=7,
        updates=7,
        reason="ValueError: bad batch",
        traceback="the traceback",
    )


def die(**how) -> Play:
    def play(request: Train, supervisor: RunSupervisor) -> Ended:
        raise RunnerDied("the runner is gone\nits last line", **how)

    return play


def test_what_a_runner_reports_and_how_it_ends_is_stored(bench):
    def play(request: Train, supervisor: RunSupervisor) -> Ended:
        supervisor.record(Evaluated(run_id=request.run_id, point=point(40), updates=40))
        assert supervisor.directive(refresh=True) == Directive()
        return succeed(request, supervisor)

    bench.work(play)
    assert (bench.run.state, bench.run.loss, bench.run.updates) == (RunState.SUCCEEDED, 0.5, 60)
    assert [stored.step for stored in bench.site.store.runs.curve(bench.run_id)] == [40]
    assert bench.runner.ends == []


def test_a_death_is_a_failed_attempt_unless_it_is_no_fault_of_the_run_then_it_is_a_lost_one(bench):
    bench.work(die(fault_of_run=False))
    assert (bench.run.state, bench.run.failed_attempts, bench.run.lost_attempts) == (RunState.QUEUED, 0, 1)
    bench.work(die())
    assert (bench.run.state, bench.run.failed_attempts, bench.run.lost_attempts) == (RunState.QUEUED, 1, 1)


def test_as_many_attempts_may_be_lost_in_a_row_as_the_setting_of_the_worker_says(bench):
    for _ in range(LOST_LIMIT):
        assert bench.run.state is RunState.QUEUED
        bench.work(die(fault_of_run=False))
    assert (bench.run.state, bench.run.lost_attempts) == (RunState.FAILED, LOST_LIMIT)
    assert bench.run.error.endswith("then retry the job: the runner is gone\nits last line")


def test_a_final_death_fails_the_run_with_what_usually_helps(bench):
    bench.work(die(final=True, shortage=SHORTAGE))
    assert (bench.run.state, bench.run.attempts) == (RunState.FAILED, 1)
    first, second, last = bench.run.error.split("\n")
    assert (first, last) == ("the runner is gone", "its last line")
    assert second.startswith("Most memory seen: 900 MiB; the limit is 1,000 MiB (of the test). What usually helps:")


def test_a_run_that_is_cut_off_while_it_stops_is_released(bench):
    def play(request: Train, supervisor: RunSupervisor) -> Ended:
        bench.stop = True
        assert supervisor.check() is None
        assert supervisor.stopping
        assert supervisor.directive(refresh=False) == Directive(stop=True, snapshot=True)
        raise RunnerDied("it did not stop")

    bench.work(play)
    run = bench.run
    assert (run.state, run.attempts, run.failed_attempts, run.lost_attempts) == (RunState.QUEUED, 1, 0, 0)


def test_a_failure_is_stored_with_its_traceback_and_ends_the_runner(bench):
    bench.work(fail)
    assert bench.run.error == "ValueError: bad batch\nthe traceback"
    assert bench.runner.ends == ["closed"]


def test_a_failure_in_which_the_kernel_killed_a_process_says_so(bench):
    bench.runner.memory = SHORTAGE
    bench.work(fail)
    assert bench.run.error.split("\n")[1].startswith("The kernel killed a process for lack of memory. Most memory seen")


def test_a_run_that_its_machine_failed_is_lost_unless_the_kernel_killed_for_lack_of_memory(bench):
    def lose(request: Train, supervisor: RunSupervisor) -> Ended:
        return fail(request, supervisor).model_copy(update={"lost": True})

    bench.work(lose)
    assert (bench.run.state, bench.run.failed_attempts, bench.run.lost_attempts) == (RunState.QUEUED, 0, 1)
    assert bench.driver.lost_last_attempt
    bench.runner.memory = SHORTAGE
    bench.work(lose)
    assert (bench.run.state, bench.run.failed_attempts, bench.run.lost_attempts) == (RunState.FAILED, 1, 1)
    assert not bench.driver.lost_last_attempt


def test_a_runner_with_leftovers_of_a_run_is_killed(bench):
    bench.runner.left = ["sleep"]
    bench.work(succeed)
    assert bench.runner.ends == ["killed"]


def test_what_a_run_prints_is_stored_without_secrets(bench):
    bench.runner.printed = "the password is s3cret\n"
    bench.work(succeed)
    printed = "".join(chunk.text for chunk in bench.site.store.runs.log(bench.run_id))
    assert printed == "the password is ***\n"


def test_after_an_outage_the_worker_releases_what_it_may_still_hold(bench, monkeypatch):
    assert bench.driver.release_leases() == 0
    assert bench.driver.release_leases() is None
    claim = bench.site.store.queue.claim

    def lose_the_response(*arguments, **settings):
        claim(*arguments, **settings)
        raise DatabaseUnavailable("the connection was lost")

    with monkeypatch.context() as patched:
        patched.setattr(bench.site.store.queue, "claim", lose_the_response)
        with pytest.raises(DatabaseUnavailable):
            bench.driver.work(OFFER)
    assert bench.run.state is RunState.LEASED
    assert bench.driver.release_leases() == 1
    assert bench.run.state is RunState.QUEUED
