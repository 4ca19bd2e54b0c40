"""Whole studies in which a run turns out hopeless: stopped early in this process, recorded and reported."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from tuner import OpaqueWorkload, OptimizerKind, Report, TrainingRun, WorkloadOptions, tune
from tuner.jobs.records import RunRecord
from tuner.jobs.states import RunState
from tuner.schedules import Cosine, Schedule
from tuner.search.pruning import stopping
from tuner.store import Store

HOPELESS = 0.9
GOOD = (0.02, 0.03, 0.04, 0.05)
STEPS = 400


class Curves(OpaqueWorkload):
    """Losses by formula: all schedules learn but for one peak, at which nothing is learned."""

    name = "curves"
    version = "1"
    description = "A formula with learning curves."
    default_steps = STEPS
    optimizer = OptimizerKind.SGD
    peak_lr = {OptimizerKind.SGD: (0.001, 1.0)}  # noqa: RUF012

    def train(self, run: TrainingRun, options: WorkloadOptions) -> None:
        peak = float(run.lrs.max())
        for step in run.evaluate_at:
            done = step / run.total_steps
            learned = 0.0 if peak > 0.5 else 2.0 * done / (0.1 + done)
            run.report(step, value=3.0 - learned + 2.0 * peak * (1.0 - done) + 0.001 * (run.seed % 3))


def study(folder: Path, *, hopeless: float = HOPELESS, **search: Any) -> tuple[Report, tuple[RunRecord, ...], str]:
    """A study that tries four good schedules and then one other."""
    start = [Schedule(peak_lr=peak, family=Cosine()).model_dump() for peak in (*GOOD, hopeless)]
    file = folder / "study.db"
    report = tune(Curves(), budget=6, database=file, search={"start": start, "seed": 3, **search}, device="cpu")
    with closing(Store.open(f"sqlite:///{file}")) as store:
        return report, store.runs.list(report.job_id).items, f"sqlite:///{file}"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, tuple[RunRecord, ...], str]:
    return study(tmp_path_factory.mktemp("stopped"))


def hopeless_run(runs: tuple[RunRecord, ...]) -> RunRecord:
    (run,) = (run for run in runs if run.schedule.peak_lr == HOPELESS)
    return run


def test_the_run_without_a_chance_is_stopped_and_the_others_are_not(stopped: Any) -> None:
    _, runs, _ = stopped
    run = hopeless_run(runs)
    assert run.state is RunState.STOPPED
    assert 0 < run.step == run.updates < STEPS
    assert {one.state for one in runs if one is not run} == {RunState.SUCCEEDED}


def test_the_report_says_what_was_stopped_and_what_that_saved(stopped: Any) -> None:
    report, runs, _ = stopped
    assert report.cost.updates_stopped == STEPS - hopeless_run(runs).step
    assert report.cost.full_runs <= 6
    assert report.recommended.schedule.peak_lr != HOPELESS


def test_its_forecasts_are_stored_with_the_one_that_stopped_it_last(stopped: Any) -> None:
    _, runs, url = stopped
    run = hopeless_run(runs)
    with closing(Store.open(url)) as store:
        made = store.forecasts.of_run(run.id)
    assert made[-1].step == run.step
    assert [one.stop for one in made] == [False] * (len(made) - 1) + [True]
    assert made[-1].chance < stopping.MAX_CHANCE


def test_its_trial_is_pruned_in_optuna_with_its_learning_curve(stopped: Any) -> None:
    report, runs, url = stopped
    run = hopeless_run(runs)
    with closing(Store.open(url)) as store:
        trials = optuna.load_study(study_name=report.job_id, storage=store.optuna_storage()).trials
    (trial,) = (trial for trial in trials if trial.user_attrs["trial"] == run.trial_number)
    assert trial.state.name == "PRUNED"
    assert max(trial.intermediate_values) == run.step
    assert all(len(other.intermediate_values) > 10 for other in trials if other is not trial)


def test_without_pruning_it_is_trained_to_its_end(tmp_path: Path) -> None:
    report, runs, _ = study(tmp_path, prune=False)
    assert hopeless_run(runs).state is RunState.SUCCEEDED
    assert report.cost.updates_stopped == 0
