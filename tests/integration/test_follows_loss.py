"""Whole studies with a schedule that follows the loss beside others: each run has the rates of its own losses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.faults.fault_workloads import Gated
from tests.integration.test_early_stopping import GOOD, STEPS, Curves
from tuner import OpaqueWorkload, Report, TrainingRun, WorkloadOptions, tune
from tuner.jobs.records import RunRecord
from tuner.jobs.states import RunState
from tuner.schedules import Constant, Cosine, ReduceOnPlateau, Schedule, Wsd
from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.jobs.followed_losses import followed_losses
from tuner_service.settings import Settings

FOLLOWS = ReduceOnPlateau(factor=0.5, patience=0, threshold=10.0, threshold_mode="absolute")
SPACE: dict[str, Any] = {
    "peak_lr": {"low": 0.01, "high": 0.3},
    "warmup": [0.0, 0.1],
    "floor": [0.0],
    "families": [
        {"name": "constant"},
        {"name": "wsd"},
        {"name": "reduce_on_plateau", "params": {"patience": {"kind": "int", "low": 0, "high": 2}}},
    ],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Report, Store]]:
    """Starts with three schedules of one peak and one seed, which would all begin alike."""
    start = [Schedule(peak_lr=0.05, family=family).model_dump() for family in (FOLLOWS, Constant(), Wsd(cooldown=0.2))]
    file = tmp_path_factory.mktemp("follows") / "study.db"
    search = {"total_steps": 120, "seed": 1, "space": SPACE, "start": start, "prune": False}
    report = tune(Gated(), budget=8, database=file, search=search, device="cpu")
    with closing(Store.open(f"sqlite:///{file}")) as store:
        yield report, store


def followed(report: Report, store: Store) -> tuple[RunRecord, ...]:
    return tuple(run for run in store.runs.list(report.job_id).items if run.schedule.follows_loss)


def test_every_run_of_it_was_trained_with_the_rates_of_its_own_losses(study: tuple[Report, Store]):
    runs = followed(*study)
    assert runs
    for run in runs:
        points = study[1].runs.curve(run.id)
        rates = run.schedule.lrs(120, losses=[(point.step, point.val_loss) for point in points])
        assert [point.lr for point in points] == [rates[max(point.step - 1, 0)] for point in points]
    (first,) = (run for run in runs if run.schedule.family == FOLLOWS)
    lrs = [point.lr for point in study[1].runs.curve(first.id)]
    assert lrs[-1] < lrs[0] / 4


def test_it_shares_no_update_while_the_others_do(study: tuple[Report, Store]):
    report, store = study
    runs = store.runs.list(report.job_id).items
    assert [run.shared_updates for run in runs if run.schedule.follows_loss] == [0] * len(followed(report, store))
    assert sum(run.shared_updates for run in runs) > 0


def test_the_search_varies_its_settings():
    params = {"patience": {"kind": "int", "low": 0, "high": 3}, "factor": {"kind": "choice", "values": [0.1, 0.3, 0.5]}}
    space = {**SPACE, "families": [{"name": "reduce_on_plateau", "params": params}]}
    report = tune(Gated(), budget=7, search={"total_steps": 120, "seed": 1, "space": space}, device="cpu")
    labels = {row.label for row in report.trials if "reduce on plateau" in row.label}
    assert len(labels) >= 4
    assert len({label.partition(", peak")[0] for label in labels}) > 1


class FollowedCurves(Curves):
    """As the curves by formula, but it reads the rates one by one."""

    name = "followed-curves"

    def train(self, run: TrainingRun, options: WorkloadOptions) -> None:
        peak = run.schedule.peak_lr
        for step in run.evaluate_at:
            run.lr(step - 1)
            done = step / run.total_steps
            learned = 0.0 if peak > 0.5 else 2.0 * done / (0.1 + done)
            run.report(step, value=3.0 - learned + 2.0 * peak * (1.0 - done) + 0.001 * (run.seed % 3))


def test_no_run_of_it_is_forecast_or_stopped_however_bad(tmp_path: Path):
    start = [Schedule(peak_lr=peak, family=Cosine()).model_dump() for peak in GOOD]
    start += [Schedule(peak_lr=0.9, family=family).model_dump() for family in (FOLLOWS, Cosine())]
    search: dict[str, Any] = {"start": start, "seed": 3}
    report = tune(FollowedCurves(), budget=7, database=tmp_path / "study.db", search=search, device="cpu")
    with closing(Store.open(f"sqlite:///{tmp_path / 'study.db'}")) as store:
        runs = store.runs.list(report.job_id).items
        (followed_run,) = (run for run in runs if run.schedule.follows_loss)
        assert (followed_run.state, followed_run.step) == (RunState.SUCCEEDED, STEPS)
        assert store.forecasts.of_run(followed_run.id) == ()
        (other,) = (run for run in runs if run.schedule.peak_lr == 0.9 and not run.schedule.follows_loss)
        assert other.step < STEPS


class ReadsAll(OpaqueWorkload):
    """Reads all rates before it trains."""

    name, version, description, default_steps = "reads-all", "1", "For tests.", 40
    optimizer = Curves.optimizer
    needs_lrs = True

    def train(self, run: TrainingRun, options: WorkloadOptions) -> None:
        run.report(run.total_steps, value=float(run.lrs.sum()))


def test_a_workload_that_reads_all_rates_is_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match=r"search\.space\.families\.2 must be without it: reads-all reads all rates"):
        tune(ReadsAll(), budget=2, search={"space": SPACE}, device="cpu")


def test_pictures_of_a_trial_show_what_its_first_run_trained_with(study: tuple[Report, Store]):
    report, store = study
    trials = store.trials.list(report.job_id).items
    (trial,) = (one for one in trials if one.schedule.family == FOLLOWS)
    losses = followed_losses(trial, job_id=report.job_id, store=store)
    run = store.runs.list(report.job_id, trial=trial.number).items[0]
    assert losses == tuple((point.step, point.val_loss) for point in store.runs.curve(run.id))
    others = [one for one in trials if not one.schedule.follows_loss]
    assert {followed_losses(one, job_id=report.job_id, store=store) for one in others} == {()}


def test_the_api_draws_them(study: tuple[Report, Store], tmp_path: Path):
    report, store = study
    trials = store.trials.list(report.job_id).items
    (trial,) = (one for one in trials if one.schedule.family == FOLLOWS)
    losses = followed_losses(trial, job_id=report.job_id, store=store)
    app = create_app(Settings(data_dir=tmp_path), store=store)
    with TestClient(app, base_url="http://127.0.0.1:8642") as client:
        page = client.get(f"/v1/jobs/{report.job_id}/schedules", params={"points": 120}).raise_for_status().json()
        picture = client.get(f"/v1/jobs/{report.job_id}/trials/{trial.number}/schedule.svg").raise_for_status().text
    (rates,) = (one["lrs"] for one in page["items"] if one["trial"] == trial.number)
    assert rates == trial.schedule.lrs(120, losses=losses).tolist()
    assert picture == trial.schedule.to_svg(120, losses=losses) != trial.schedule.to_svg(120)
