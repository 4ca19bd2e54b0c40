"""Trainings that end early by a rule of their own: their results count, and the report says where they ended."""

from __future__ import annotations

import pytest

from tuner import OpaqueWorkload, OptimizerKind, RunFinished, StepwiseWorkload, TrainingRun, WorkloadOptions, tune
from tuner.report.pages.formats import ReportFormat, rendered
from tuner.search.decision.decisions import RunStatus


class Patient(OpaqueWorkload):
    """Gradient descent on a square, until it no longer improves."""

    name, version, default_steps = "patient", "1", 40
    description = "Gradient descent on the square of x; the validation loss is the square of x."
    optimizer = OptimizerKind.SGD
    peak_lr = {OptimizerKind.SGD: (0.001, 0.05)}  # noqa: RUF012

    def train(self, run: TrainingRun, options: WorkloadOptions) -> None:
        x = 1.0 + run.seed % 7 / 100
        for step in range(run.total_steps):
            x -= run.lr(step) * 2 * x
            if step + 1 in run.evaluate_at:
                run.report(step + 1, value=x**2)
            if step + 1 == 25:
                return run.finish(step + 1, value=x**2)
        return None


class PatientTraining:
    def __init__(self, seed: int) -> None:
        self.x = 1.0 + seed % 7 / 100

    def train_step(self, step: int, lr: float) -> float:
        if step == 25:
            raise RunFinished
        self.x -= lr * 2 * self.x
        return self.x**2

    def validate(self) -> float:
        return self.x**2

    def state_dict(self) -> dict[str, float]:
        return {"x": self.x}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.x = state["x"]


class PatientStepwise(StepwiseWorkload):
    name, version, default_steps = "patient-stepwise", "1", 40
    description = "The same; the tuner drives it."
    optimizer = OptimizerKind.SGD
    peak_lr = {OptimizerKind.SGD: (0.001, 0.05)}  # noqa: RUF012

    def start(self, options, *, seed, device):
        return PatientTraining(seed)


@pytest.mark.parametrize("workload", [Patient(), PatientStepwise()], ids=lambda workload: workload.name)
def test_a_study_of_trainings_that_end_early_recommends_and_says_where_they_ended(workload, tmp_path):
    report = tune(workload, budget=3, device="cpu", database=tmp_path / "study.db")
    runs = [run for trial in report.trials for run in trial.runs]
    finished = [run for run in runs if run.status is RunStatus.FINISHED]
    assert {run.steps for run in finished} == {25}
    assert report.recommended.expected is not None
    assert report.recommended.expected < 1.0
    assert report.cost.updates_spent == 25 * len(finished)
    (sentence,) = [one for one in report.reservations if "ended early" in one]
    assert sentence == (
        f"{len(finished)} of {len(finished)} runs ended early by the training's own rule, at 25 of 40 updates: "
        "what they reported then counts as their result at the horizon."
    )
    assert "(ended early at 25 of 40)" in rendered(report, format=ReportFormat.MARKDOWN)
    assert len(finished) > 3, "what an early end leaves over pays for further runs"
