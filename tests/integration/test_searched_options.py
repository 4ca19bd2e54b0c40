"""Options of the workload that are searched along with the schedule: in real studies, on the real store."""

from __future__ import annotations

from typing import ClassVar

import optuna
import pytest
import torch
from pydantic import Field
from torch import nn

import tuner
from tuner.search.space import OptimizerKind
from tuner.store import Store
from tuner.training.workload import Declaration, DeclaredWorkload, WorkloadOptions

TRAINED_WITH: list[tuple[float, str, int]] = []
"""Options that runs were really started with, and their seed."""


class SmoothedOptions(WorkloadOptions):
    noise: float = Field(default=1.0, ge=0.0, le=10.0, description="Size of the noise of a gradient.")
    start: str = Field(default="far", pattern="near|far", description="Where training begins.")


class Smoothed(DeclaredWorkload):
    """A bowl whose gradients are as noisy as an option says: the less, the better it ends."""

    name: ClassVar[str] = "smoothed"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "A noisy quadratic; half the squared distance from its minimum."
    default_steps: ClassVar[int] = 60
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    peak_lr: ClassVar = {OptimizerKind.SGD: (0.02, 1.0)}
    Options = SmoothedOptions

    def declare(self, options, *, seed, device):
        TRAINED_WITH.append((options.noise, options.start, seed))
        model = nn.Linear(20, 1, bias=False, device=device)
        nn.init.constant_(model.weight, 1.0 if options.start == "near" else 3.0)

        def batch(step: int) -> torch.Tensor:
            return torch.randn(20, generator=torch.Generator().manual_seed(1_000_003 * seed + step))

        def loss(model, noise: torch.Tensor) -> torch.Tensor:
            return 0.5 * ((model.weight + options.noise * noise) ** 2).sum()

        def evaluate(model) -> float:
            return 0.5 * float((model.weight**2).sum())

        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        return Declaration(model=model, optimizer=optimizer, batch=batch, loss=loss, evaluate=evaluate)


SEARCH = {
    "budget": 15,
    "seed": 3,
    "options": {
        "noise": {"kind": "float", "low": 0.01, "high": 1.0, "log": True},
        "start": {"kind": "choice", "values": ["near", "far"]},
    },
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    TRAINED_WITH.clear()
    file = tmp_path_factory.mktemp("options") / "study.db"
    report = tuner.tune(Smoothed(), search=SEARCH, device="cpu", database=file)
    store = Store.open(f"sqlite:///{file}")
    yield report, store
    store.close()


def test_the_recommendation_has_better_options_than_the_workloads_own(study):
    report, _ = study
    assert report.options == {"noise": 1.0, "start": "far"}
    assert report.recommended.options["noise"] < 0.3
    assert f"noise {report.recommended.options['noise']:.4g}" in report.recommended.label


def test_runs_are_trained_with_the_options_of_their_trial(study):
    report, store = study
    runs = store.runs.list(report.job_id, limit=200).items
    options = {trial.number: trial.options for trial in store.trials.list(report.job_id, limit=200).items}
    asked = sorted((*options[run.trial_number].values(), run.seed) for run in runs)
    assert sorted(TRAINED_WITH) == asked


def test_the_first_trials_have_the_jobs_own_options_and_later_ones_others(study):
    report, store = study
    tried = [tuple(trial.options.values()) for trial in store.trials.list(report.job_id, limit=200).items]
    assert tried[:2] == [(1.0, "far")] * 2
    assert len(set(tried)) > 2


def test_optuna_knows_them_as_parameters(study):
    report, store = study
    found = optuna.load_study(study_name=report.job_id, storage=store.optuna_storage())
    free = [trial for trial in found.trials if trial.params]
    assert free
    assert all({"option.noise", "option.start"} <= trial.params.keys() for trial in free)
