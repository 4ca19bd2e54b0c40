"""The keeper of one lease over a real database that is away at times."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.store.builders import claim_run, forecast, offer
from tuner.driver.heartbeat import Heartbeat
from tuner.driver.lease_keeper import LeaseKeeper
from tuner.driver.log_shipper import LogShipper
from tuner.errors import DatabaseUnavailable
from tuner.jobs.records import CurvePoint, SnapshotRef
from tuner.jobs.states import RunState
from tuner_worker.redaction import Redaction
from tuner_worker.runner.log import RunnerLog

LEASE_SECONDS = 30.0
PATIENCE_SECONDS = 600.0


class Clock:
    """Monotonic seconds that pass when somebody pauses."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


class Away:
    """The queue of a database that can be cut off: the one thing here that cannot be made to happen for real."""

    def __init__(self, store) -> None:
        self._store = store
        self.away = False
        self.calls = 0
        self.back_after: int | None = None
        self.outage = range(0)

    def go_away(self, *, after: int, calls: int) -> None:
        """Answer so many calls from now on, then refuse so many."""
        self.away = False
        self.outage = range(self.calls + after + 1, self.calls + after + calls + 1)

    @property
    def leases(self):
        return self

    @property
    def fleet(self):
        return self._store.workers

    def __getattr__(self, verb):
        real = getattr(self._store.leases, verb)

        def call(*args, **kwargs):
            self.calls += 1
            if self.back_after is not None and self.calls > self.back_after:
                self.away = False
            if self.away or self.calls in self.outage:
                raise DatabaseUnavailable("the database does not answer: connection refused")
            return real(*args, **kwargs)

        return call


class Bench:
    """A claimed run with its keeper."""

    def __init__(self, site, *, folder) -> None:
        self.site = site
        self.run_id = site.enqueue("gated", options={})
        self.store = Away(site.store)
        self.clock = Clock()
        lease = claim_run(site.store, offer("w1", workloads={"gated": "1"}), lease_seconds=LEASE_SECONDS)
        assert lease is not None
        self.log = RunnerLog(folder)
        self.keeper = LeaseKeeper(
            self.store,  # type: ignore[arg-type]
            lease=lease,
            heartbeat=Heartbeat(site.store, worker="w1", clock=self.clock),
            shipper=LogShipper(self.log.fresh, hide=Redaction(site.url).hide, clock=self.clock),
            lease_seconds=LEASE_SECONDS,
            outage_seconds=PATIENCE_SECONDS,
            clock=self.clock,
            pause=self.clock.pause,
        )

    @property
    def run(self):
        return self.site.run(self.run_id)

    @property
    def curve(self):
        return [point.step for point in self.site.store.runs.curve(self.run_id)]

    @property
    def updates_spent(self):
        return self.site.store.jobs.get(self.run.job_id).updates_spent

    @property
    def printed(self):
        return "".join(chunk.text for chunk in self.site.store.runs.log(self.run_id))

    def print(self, text: str) -> None:
        stdout, stderr = self.log.open()
        with stdout, stderr:
            stdout.write(text.encode())

    def evaluate(self, step: int) -> None:
        self.keeper.evaluated(CurvePoint(step=step, lr=0.1, train_loss=1.0, val_loss=2.0), updates=10)


@pytest.fixture
def bench(site, tmp_path) -> Bench:
    return Bench(site, folder=tmp_path / "printed")


def test_the_curve_of_a_branched_run_begins_with_that_of_the_run_it_left(bench):
    points = [CurvePoint(step=step, lr=0.1, train_loss=None, val_loss=2.0) for step in (0, 10, 20)]
    bench.keeper.branched(points)
    assert (bench.curve, bench.updates_spent) == ([0, 10, 20], 0)
    assert bench.keeper.finish(loss=1.0, step=60, updates=35, shared_updates=25, reason="")
    assert (bench.run.updates, bench.run.shared_updates) == (35, 25)
    assert bench.site.store.jobs.get(bench.run.job_id).updates_saved == 25


def test_an_evaluation_is_stored_and_extends_the_lease(bench):
    bench.site.sql("UPDATE tuner_runs SET lease_expires_at = 5")
    bench.evaluate(10)
    assert bench.curve == [10]
    assert bench.site.sql("SELECT lease_expires_at FROM tuner_runs")[0][0] > bench.site.store.now() + 20
    assert bench.updates_spent == 10


def test_a_heartbeat_comes_three_times_a_lease_without_any_evaluation(bench):
    assert bench.keeper.seconds_to_beat() == LEASE_SECONDS / 3
    bench.keeper.beat_if_due()
    assert bench.store.calls == 0
    bench.clock.now += LEASE_SECONDS / 3
    bench.keeper.beat_if_due()
    assert bench.store.calls == 1
    assert bench.keeper.seconds_to_beat() == LEASE_SECONDS / 3


def test_what_an_outage_held_back_is_written_once_when_it_is_over(bench):
    bench.store.away = True
    for step in (10, 20, 30):
        bench.evaluate(step)
    bench.keeper.snapshot_saved(SnapshotRef(step=33, path="/snapshots/33"), updates=3)
    bench.keeper.snapshot_saved(SnapshotRef(step=37, path="/snapshots/37"), updates=4)
    assert bench.store.calls == 1  # one try: the runner is not kept waiting for the next
    assert bench.curve == []

    bench.store.away = False
    bench.clock.now += bench.keeper.seconds_to_beat()
    bench.keeper.beat_if_due()

    assert bench.curve == [10, 20, 30]
    assert bench.updates_spent == 37
    assert bench.site.sql("SELECT step FROM tuner_snapshots") == [(37,)]
    assert not bench.keeper.lost


def test_a_snapshot_is_stored_with_the_updates_that_led_to_it(bench):
    bench.evaluate(10)
    bench.keeper.snapshot_saved(SnapshotRef(step=15, path="/snapshots/15"), updates=5)
    assert bench.site.sql("SELECT step FROM tuner_snapshots") == [(15,)]
    assert bench.updates_spent == 15
    bench.clock.now += bench.keeper.seconds_to_beat()
    bench.keeper.beat_if_due()
    assert bench.updates_spent == 15


@pytest.mark.parametrize("end", ["finish", "fail", "release"])
@pytest.mark.parametrize("answered", range(3))
def test_an_outage_at_any_moment_of_the_end_loses_no_update_and_counts_none_twice(bench, end, answered):
    bench.store.away = True
    bench.evaluate(10)
    bench.keeper.snapshot_saved(SnapshotRef(step=15, path="/snapshots/15"), updates=5)
    bench.store.go_away(after=answered, calls=2)

    arguments: dict[str, Any] = {
        "finish": {"loss": 0.5, "step": 18, "updates": 3, "reason": ""},
        "fail": {"reason": "x", "retry": True, "updates": 3},
        "release": {"updates": 3},
    }
    assert getattr(bench.keeper, end)(**arguments[end])

    assert bench.updates_spent == 18
    assert bench.curve == [10]
    assert bench.run.state is (RunState.SUCCEEDED if end == "finish" else RunState.QUEUED)


def test_a_result_waits_for_the_database_to_come_back(bench):
    bench.store.away = True
    bench.evaluate(60)
    bench.store.back_after = bench.store.calls + 5
    started = bench.clock.now

    assert bench.keeper.finish(loss=0.5, step=60, updates=5, reason="")

    assert (bench.run.state, bench.run.loss) == (RunState.SUCCEEDED, 0.5)
    assert bench.curve == [60]
    assert bench.updates_spent == 15
    assert bench.clock.now > started


def test_an_outage_that_outlasts_the_patience_gives_the_lease_up(bench):
    bench.store.away = True
    started = bench.clock.now

    assert not bench.keeper.finish(loss=0.5, step=60, updates=0, reason="")

    assert bench.keeper.lost
    assert bench.clock.now - started > PATIENCE_SECONDS
    assert bench.run.state is RunState.LEASED


def test_a_lease_past_its_time_that_nobody_took_still_lets_the_result_in(bench):
    bench.site.sql("UPDATE tuner_runs SET lease_expires_at = 5")
    assert bench.keeper.finish(loss=0.5, step=60, updates=0, reason="")
    assert bench.run.state is RunState.SUCCEEDED


@pytest.mark.parametrize("end", ["finish", "fail", "release"])
def test_nothing_is_written_once_the_lease_is_lost(bench, end):
    bench.site.store.reaper.free_worker("w1")
    before = bench.run

    bench.evaluate(10)
    assert bench.keeper.lost
    bench.evaluate(20)
    arguments: dict[str, Any] = {
        "finish": {"loss": 0.5, "step": 60, "updates": 0, "reason": ""},
        "fail": {"reason": "x", "retry": False},
        "release": {},
    }[end]
    assert not getattr(bench.keeper, end)(**arguments)

    assert bench.run == before
    assert bench.curve == []
    assert bench.store.calls == 1


def test_an_end_that_comes_after_the_loss_is_refused(bench):
    bench.site.store.reaper.free_worker("w1")
    assert not bench.keeper.finish(loss=0.5, step=60, updates=0, reason="")
    assert bench.run.state is RunState.QUEUED


def test_what_the_run_printed_comes_with_the_heartbeats_and_the_rest_with_the_end(bench):
    bench.print("epoch 1\nepoch")
    bench.evaluate(10)
    assert bench.printed == "epoch 1\n"
    bench.print(" 2\nlast words")
    bench.keeper.finish(loss=0.5, step=60, updates=5, reason="")
    assert bench.printed == "epoch 1\nepoch 2\nlast words"


def test_what_the_run_printed_in_an_outage_comes_when_it_is_over(bench):
    bench.store.away = True
    bench.print("epoch 1\n")
    bench.evaluate(10)
    bench.store.away = False
    bench.clock.now += bench.keeper.seconds_to_beat()
    bench.keeper.beat_if_due()
    assert bench.printed == "epoch 1\n"


def test_a_log_that_cannot_be_stored_costs_the_run_nothing(bench, monkeypatch):
    def refuse(lease, text):
        raise RuntimeError("the database refused a statement")

    monkeypatch.setattr(bench.site.store.leases, "append_log", refuse)
    bench.print("epoch 1\n")
    bench.evaluate(10)
    assert bench.keeper.finish(loss=0.5, step=60, updates=5, reason="")
    assert bench.run.state is RunState.SUCCEEDED


def test_a_pause_is_read_with_the_next_evaluation_and_so_is_its_end(bench):
    job_id = bench.run.job_id
    bench.evaluate(10)
    assert bench.keeper.stop_reason is None
    bench.site.store.jobs.pause(job_id)
    bench.evaluate(20)
    assert "paused" in str(bench.keeper.stop_reason)
    bench.site.store.jobs.resume(job_id)
    bench.evaluate(30)
    assert bench.keeper.stop_reason is None
    assert not bench.keeper.lost


def test_forecasts_that_an_outage_delays_are_stored_with_their_evaluations(bench):
    bench.store.away = True
    for step in (10, 20):
        bench.keeper.forecast(forecast(step, stop=False))
        bench.evaluate(step)
    assert bench.site.store.forecasts.of_run(bench.run_id) == ()
    bench.store.away = False
    bench.clock.now += LEASE_SECONDS
    bench.keeper.beat_if_due()
    assert bench.curve == [10, 20]
    assert [one.step for one in bench.site.store.forecasts.of_run(bench.run_id)] == [10, 20]


def test_a_stop_waits_until_the_database_is_back_and_is_recorded_once(bench):
    bench.evaluate(10)
    bench.store.away = True
    bench.store.back_after = bench.store.calls + 3
    assert bench.keeper.stop(forecast(20), step=20, updates=10, reason="almost no chance")
    assert (bench.run.state, bench.run.step, bench.updates_spent) == (RunState.STOPPED, 20, 20)
    assert not bench.keeper.stop(forecast(20), step=20, updates=10, reason="almost no chance")
    assert bench.site.events("run.stopped", run_id=bench.run_id) == 1
