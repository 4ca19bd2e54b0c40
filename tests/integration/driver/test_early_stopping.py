"""Runs whose forecast leaves them almost no chance, in the driver on the real store."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.driver.test_driver import Bench, die, succeed
from tuner.driver import early_stopping
from tuner.driver.early_stopping import RELOAD_SECONDS, EarlyStopping
from tuner.driver.supervisor import RunSupervisor
from tuner.errors import DatabaseUnavailable
from tuner.jobs.forecasts import BestTrial, StoppingContext, TrialCurve
from tuner.jobs.records import CurvePoint, LeasedRun
from tuner.jobs.states import RunState
from tuner.metric import Metric
from tuner.schedules import Constant, Schedule
from tuner.search.configuration import Configuration
from tuner.search.pruning.forecast import Curve, Forecast
from tuner.search.pruning.stopping import ForecastCheck, Leader
from tuner.search.settings import PrunerName
from tuner.training.protocol import Branched, Directive, Ended, Evaluated, Outcome, Train

STEPS = 60
CONFIGURATION = Configuration(schedule=Schedule(peak_lr=0.05, family=Constant()))
BEST = BestTrial(trial=0, label="cosine", value=0.4, std=0.01, low=0.38, high=0.42, runs=1, margin=0.02)


def complete(run_id: str = "complete") -> TrialCurve:
    points = tuple((step, 1.0 - step / 100) for step in range(0, STEPS + 1, 10))
    return TrialCurve(run_id=run_id, trial=0, configuration=CONFIGURATION, seed=1, total_steps=STEPS, points=points)


def context(**changes: Any) -> StoppingContext:
    values: dict[str, Any] = {
        "trial": 7,
        "pruner": PrunerName.FORECAST,
        "search_seed": 0,
        "best": BEST,
        "ended": (complete(),),
        "points": (),
        "configuration": CONFIGURATION,
    }
    return StoppingContext(**values | changes)


def point(step: int, *, loss: float = 0.9) -> CurvePoint:
    return CurvePoint(step=step, lr=0.1, train_loss=1.0, val_loss=loss)


class Checks:
    """Stands for the forecaster: stops from a step on, and notes what it was called with."""

    def __init__(self, *, stop_from: float = math.inf) -> None:
        self.stop_from = stop_from
        self.seen: list[Curve] = []
        self.leaders: list[tuple[Leader, float]] = []
        self.error: Exception | None = None
        self.mean = 0.9

    def __call__(self, forecaster: Any, running: Curve, *, leader: Leader, margin: float) -> ForecastCheck | None:
        self.seen.append(running)
        self.leaders.append((leader, margin))
        if self.error is not None:
            raise self.error
        step = running.points[-1][0]
        stop = step >= self.stop_from
        return ForecastCheck(
            forecast=Forecast(step=step, mean=self.mean, std=0.05, low=0.8, high=1.0),
            leader=leader,
            margin=margin,
            chance=1e-4 if stop else 0.5,
            stop=stop,
        )


class Contexts:
    """Stands for the store: returns the contexts of a list, the last one again and again."""

    def __init__(self, *contexts: StoppingContext | None) -> None:
        self.contexts = list(contexts)
        self.loaded: list[list[str]] = []
        self.away = False
        self.forecasts = self

    def context(self, lease: LeasedRun, *, loaded: Any) -> StoppingContext | None:
        self.loaded.append(list(loaded))
        if self.away:
            raise DatabaseUnavailable("gone")
        return self.contexts.pop(0) if len(self.contexts) > 1 else self.contexts[0]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    checks = Checks()
    monkeypatch.setattr(early_stopping, "check_forecast", checks)
    return checks


def lease(**changes: Any) -> LeasedRun:
    values: dict[str, Any] = {
        **{"run_id": "r", "job_id": "j", "token": "t", "attempt": 1, "expires_at": 0.0, "workload": "w"},
        **{"workload_version": "1", "metric": Metric(), "options": {}, "schedule": CONFIGURATION.schedule},
        **{"total_steps": STEPS, "seed": 1, "prefix_key": None, "snapshot": None, "waited_seconds": 0.0},
    }
    return LeasedRun(**values | changes)


class TestForecasts:
    def begun(self, contexts: Contexts, *, of: LeasedRun | None = None) -> tuple[EarlyStopping, LeasedRun]:
        self.now = 0.0
        self.contexts = contexts
        stopping = EarlyStopping(contexts, clock=lambda: self.now)  # type: ignore[arg-type]
        run = of or lease()
        stopping.enter_run(run)
        return stopping, run

    def test_one_is_made_at_each_evaluation_from_all_before_it(self, checks: Checks) -> None:
        stopping, run = self.begun(Contexts(context()))
        made = [stopping.evaluated(run, point=point(step, loss=1.0 - step / 100)) for step in (0, 20, 40)]
        assert [one.step for one in made if one is not None] == [0, 20, 40]
        assert checks.seen[-1].points == ((0, 1.0), (20, 0.8), (40, 0.6))
        assert checks.leaders[-1] == (Leader(mean=0.4, std=0.01), 0.02)

    def test_none_is_made_at_the_end(self, checks: Checks) -> None:
        stopping, run = self.begun(Contexts(context()))
        assert stopping.evaluated(run, point=point(STEPS)) is None
        assert checks.seen == []

    @pytest.mark.parametrize("missing", [None, context(ended=())])
    def test_none_is_made_without_a_leader_or_complete_runs(self, checks: Checks, missing: Any) -> None:
        stopping, run = self.begun(Contexts(missing))
        assert stopping.evaluated(run, point=point(20)) is None
        assert checks.seen == []

    def test_the_leader_of_a_maximized_metric_is_a_loss(self, checks: Checks) -> None:
        metric = Metric(name="accuracy", direction="maximize")
        stopping, run = self.begun(Contexts(context()), of=lease(metric=metric))
        stopping.evaluated(run, point=point(20))
        assert checks.leaders[-1][0].mean == -0.4

    def test_an_error_of_a_forecast_is_no_error_of_the_run(self, checks: Checks) -> None:
        stopping, run = self.begun(Contexts(context()))
        checks.error = ZeroDivisionError("float division by zero")
        assert stopping.evaluated(run, point=point(20)) is None
        checks.error = None
        assert stopping.evaluated(run, point=point(40)) is not None

    @pytest.mark.parametrize("mean", [math.nan, math.inf])
    def test_a_forecast_that_is_no_number_counts_as_none(self, checks: Checks, mean: float) -> None:
        stopping, run = self.begun(Contexts(context()))
        checks.mean, checks.stop_from = mean, 0
        assert stopping.evaluated(run, point=point(20)) is None

    @pytest.mark.parametrize("loss", [math.nan, math.inf])
    def test_an_evaluation_that_is_not_finite_is_left_out(self, checks: Checks, loss: float) -> None:
        stopping, run = self.begun(Contexts(context()))
        assert stopping.evaluated(run, point=point(20, loss=loss)) is None
        stopping.evaluated(run, point=point(40))
        assert [step for step, _ in checks.seen[-1].points] == [40]

    def test_of_many_evaluations_the_first_of_each_stretch_is_used(self, checks: Checks) -> None:
        stopping, run = self.begun(Contexts(context()), of=lease(total_steps=19_900))
        for step in range(0, 1_000):
            stopping.evaluated(run, point=point(step))
        assert [step for step, _ in checks.seen[-1].points] == list(range(0, 1_000, 100))
        assert len(checks.seen) == 10

    def test_a_resumed_run_has_its_losses_up_to_the_snapshot_and_those_of_a_shared_prefix(self, checks: Checks) -> None:
        stopping, run = self.begun(Contexts(context(points=((0, 1.0), (10, 0.9)))))
        stopping.branched(run, points=[point(20, loss=0.8), point(30, loss=0.7)])
        stopping.evaluated(run, point=point(40, loss=0.6))
        assert checks.seen[-1].points == ((0, 1.0), (10, 0.9), (20, 0.8), (30, 0.7), (40, 0.6))

    def test_a_run_that_begins_anew_has_no_losses_beyond_where_it_stands(self, checks: Checks) -> None:
        stopping, run = self.begun(Contexts(context(points=((0, 1.0), (10, 0.9), (20, 0.8)))))
        stopping.evaluated(run, point=point(10, loss=0.7))
        assert checks.seen[-1].points == ((0, 1.0), (10, 0.7))

    def test_what_they_rest_on_is_read_again_after_a_while_and_no_curve_twice(self, checks: Checks) -> None:
        better = BestTrial(**{**vars_of(BEST), "value": 0.3})
        stopping, run = self.begun(Contexts(context(), context(best=better, ended=(complete("another"),))))
        stopping.evaluated(run, point=point(20))
        self.now = RELOAD_SECONDS
        stopping.evaluated(run, point=point(40))
        assert [leader.mean for leader, _ in checks.leaders] == [0.4, 0.3]
        assert self.contexts.loaded == [[], ["complete"]]

    def test_an_outage_leaves_what_was_read_before(self, checks: Checks) -> None:
        stopping, run = self.begun(Contexts(context()))
        self.contexts.away = True
        self.now = RELOAD_SECONDS
        assert stopping.evaluated(run, point=point(20)) is not None

    def test_curves_are_kept_between_runs_of_a_job_and_losses_are_not(self, checks: Checks) -> None:
        stopping, run = self.begun(Contexts(context()))
        stopping.evaluated(run, point=point(20))
        stopping.enter_run(lease(run_id="next"))
        stopping.evaluated(run, point=point(30))
        assert self.contexts.loaded[-1] == ["complete"]
        assert checks.seen[-1].points == ((30, 0.9),)
        stopping.enter_run(lease(job_id="another"))
        assert self.contexts.loaded[-1] == []

    @pytest.mark.parametrize("seed", range(40))
    def test_a_tenth_of_the_runs_is_audited_whatever_step_would_stop_them(self, checks: Checks, seed: int) -> None:
        checks.stop_from = 20
        stopping, run = self.begun(Contexts(context()), of=lease(seed=seed))
        made = [stopping.evaluated(run, point=point(step)) for step in (10, 20, 40)]
        assert [one.audited for one in made if one is not None] in ([False] * 3, [False, True, True])


def vars_of(best: BestTrial) -> dict[str, Any]:
    return {name: getattr(best, name) for name in BestTrial.__dataclass_fields__}


@pytest.fixture
def bench(site: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A driver whose run has a leader and complete curves to be compared with."""
    bench = Bench(site, folder=tmp_path / "driver-snapshots")
    monkeypatch.setattr(site.store.forecasts, "context", lambda lease, loaded: context(trial=0))
    return bench


def reports(*steps: int, ends: Outcome = Outcome.SUCCEEDED) -> Callable[[Train, RunSupervisor], Ended]:
    """A runner that reports at some steps, as one in a process of its own does, and stops when it is told to."""

    def play(request: Train, supervisor: RunSupervisor) -> Ended:
        before = 0
        for step in steps:
            report = Evaluated(run_id=request.run_id, point=point(step), updates=step - before)
            supervisor.forecast(report)
            directive = supervisor.directive(refresh=True)
            supervisor.record(report)
            before = step
            if directive.stop:
                assert directive == Directive(stop=True)
                return Ended(run_id=request.run_id, outcome=Outcome.STOPPED, step=step, updates=0)
        return Ended(run_id=request.run_id, outcome=ends, step=STEPS, updates=STEPS - before, loss=0.5)

    return play


def ends(bench: Bench) -> list[str]:
    events = bench.site.store.events.after(0, job_id=bench.run.job_id)
    return [event.kind for event in events if event.kind in ("run.stopped", "run.succeeded", "run.requeued")]


class TestStops:
    def test_a_hopeless_run_is_stopped_and_recorded_once(self, bench: Bench, checks: Checks) -> None:
        checks.stop_from = 20
        bench.work(reports(10, 20, 30))
        run = bench.run
        assert (run.state, run.step, run.loss, run.updates) == (RunState.STOPPED, 20, None, 20)
        assert "its forecast, validation loss 0.9000, leaves it a chance of 0.0001 to beat 0.4000 by 0.02" in run.error
        assert ends(bench) == ["run.stopped"]
        stored = bench.site.store.forecasts.of_run(run.id)
        assert [(one.step, one.stop) for one in stored] == [(10, False), (20, True)]

    def test_an_audited_run_is_trained_to_its_end_and_says_so(
        self, bench: Bench, checks: Checks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checks.stop_from = 20
        monkeypatch.setattr(early_stopping, "is_audited", lambda *, trial, seed: True)
        bench.work(reports(10, 20, 30))
        assert (bench.run.state, bench.run.loss) == (RunState.SUCCEEDED, 0.5)
        stored = bench.site.store.forecasts.of_run(bench.run_id)
        assert [(one.step, one.stop, one.audited) for one in stored] == [
            (10, False, False),
            (20, True, True),
            (30, True, True),
        ]

    def test_a_crash_before_the_stop_is_recorded_has_it_trained_again_and_stopped_again(
        self, bench: Bench, checks: Checks
    ) -> None:
        checks.stop_from = 20

        def dies_at_the_stop(request: Train, supervisor: RunSupervisor) -> Ended:
            reports(10, 20)(request, supervisor)
            return die()(request, supervisor)

        bench.work(dies_at_the_stop)
        assert (bench.run.state, bench.run.attempts) == (RunState.QUEUED, 1)
        bench.work(reports(10, 20))
        assert (bench.run.state, bench.run.attempts) == (RunState.STOPPED, 2)
        assert ends(bench) == ["run.requeued", "run.stopped"]
        assert bench.run.updates == 40

    def test_a_lease_that_was_lost_records_no_stop(self, bench: Bench, checks: Checks) -> None:
        checks.stop_from = 20

        def loses_its_lease(request: Train, supervisor: RunSupervisor) -> Ended:
            bench.site.store.reaper.free_worker("w1")
            return reports(20)(request, supervisor)

        bench.work(loses_its_lease)
        assert bench.run.state is RunState.QUEUED
        assert ends(bench) == ["run.requeued"]
        assert bench.site.store.forecasts.of_run(bench.run_id) == ()

    def test_a_run_that_reaches_its_end_all_the_same_has_its_result(self, bench: Bench, checks: Checks) -> None:
        checks.stop_from = 20

        def ends_first(request: Train, supervisor: RunSupervisor) -> Ended:
            supervisor.forecast(Evaluated(run_id=request.run_id, point=point(20), updates=20))
            return succeed(request, supervisor)

        bench.work(ends_first)
        assert (bench.run.state, bench.run.loss) == (RunState.SUCCEEDED, 0.5)

    def test_a_hopeless_run_of_a_paused_job_is_recorded_and_does_not_come_back(
        self, bench: Bench, checks: Checks
    ) -> None:
        checks.stop_from = 20

        def is_paused(request: Train, supervisor: RunSupervisor) -> Ended:
            bench.site.store.jobs.pause(bench.run.job_id)
            return reports(20)(request, supervisor)

        bench.work(is_paused)
        assert bench.run.state is RunState.STOPPED

    def test_a_shared_prefix_counts_among_its_updates_once(self, bench: Bench, checks: Checks) -> None:
        checks.stop_from = 20

        def branches(request: Train, supervisor: RunSupervisor) -> Ended:
            supervisor.record(Branched(run_id=request.run_id, step=10, points=(point(0), point(10))))
            report = Evaluated(run_id=request.run_id, point=point(20), updates=10)
            supervisor.forecast(report)
            assert supervisor.directive(refresh=True).stop
            supervisor.record(report)
            return Ended(run_id=request.run_id, outcome=Outcome.STOPPED, step=20, updates=0, shared_updates=10)

        bench.work(branches)
        assert (bench.run.step, bench.run.updates, bench.run.shared_updates) == (20, 10, 10)
        assert [step for step, _ in checks.seen[-1].points] == [0, 10, 20]

    def test_a_failing_forecast_leaves_the_run_alone(self, bench: Bench, checks: Checks) -> None:
        checks.error = RuntimeError("no such matrix")
        bench.work(reports(10, 20))
        assert bench.run.state is RunState.SUCCEEDED
