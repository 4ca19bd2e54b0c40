"""Jobs whose schedules are chosen by a sampler of Optuna's, and whose runs are stopped by one of its pruners."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.integration.test_early_stopping import Curves
from tuner import InvalidValue, Report, tune
from tuner.jobs.records import RunRecord, TrialRecord
from tuner.jobs.states import RunState
from tuner.optuna import ScheduleSampler, suggest_schedule
from tuner.schedules import Cosine, Schedule
from tuner.store import Store

GOOD = (0.02, 0.025, 0.03, 0.04, 0.05, 0.06)
HOPELESS = (0.7, 0.9)


def study(folder: Path, **search: Any) -> tuple[Report, tuple[TrialRecord, ...], tuple[RunRecord, ...], str]:
    file = folder / "study.db"
    report = tune(Curves(), database=file, search={"seed": 3, **search}, device="cpu")
    with closing(Store.open(f"sqlite:///{file}")) as store:
        trials, runs = store.trials.list(report.job_id).items, store.runs.list(report.job_id).items
    return report, trials, runs, f"sqlite:///{file}"


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_pruner_stops_runs_by_the_loss_so_far_and_the_report_says_its_risk(tmp_path: Path, pruner: str) -> None:
    start = [Schedule(peak_lr=peak, family=Cosine()).model_dump() for peak in (*GOOD, *HOPELESS)]
    report, trials, runs, url = study(tmp_path, start=start, trials=8, budget=9, pruner=pruner)
    stopped = [run for run in runs if run.state is RunState.STOPPED]
    assert stopped
    assert f"by pruner {pruner}, which compares the loss so far" in report.early_stops.sentence
    assert any(f"Pruner {pruner} stopped" in sentence for sentence in report.reservations)
    for run in stopped:
        assert f"by pruner {pruner}" in trials[run.trial_number].end_reason
    with closing(Store.open(url)) as store:
        for run in stopped:
            *_, last = store.forecasts.of_run(run.id)
            assert (last.step, last.stop) == (run.step, True)
    assert report.recommended.schedule.peak_lr < 0.1


def test_a_sampler_chooses_the_new_schedules_of_a_job_whose_study_is_continued_by_ours(tmp_path: Path) -> None:
    _, trials, _, url = study(tmp_path, sampler="tpe", budget=4)
    chosen = [trial for trial in trials if trial.reason == "chosen by Optuna's sampler tpe"]
    assert chosen
    with closing(Store.open(url)) as store:
        found = optuna.load_study(study_name=trials[0].job_id, storage=store.optuna_storage())
        assert [trial.user_attrs["label"] for trial in found.trials] == [trial.configuration.label for trial in trials]
        found.sampler = ScheduleSampler.of_job(found)
        found.optimize(lambda trial: suggest_schedule(trial).peak_lr, n_trials=2)
        assert len(found.trials) == len(trials) + 2


@pytest.mark.parametrize(
    ("search", "refusal"),
    [
        ({"sampler": "nevergrad"}, "search.sampler must be one of 'schedule', 'tpe', 'gp', 'cmaes', 'random', 'qmc'"),
        ({"pruner": "wilcoxon"}, "search.pruner must be one of 'forecast', 'median', 'percentile', 'sha', 'hyperband'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(search: dict[str, str], refusal: str) -> None:
    with pytest.raises(InvalidValue, match=refusal):
        tune(Curves(), search=search, device="cpu")
