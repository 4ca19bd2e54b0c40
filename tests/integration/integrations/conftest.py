from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuner.jobs.records import CurvePoint
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Schedule
from tuner.search.space import OptimizerKind
from tuner.training.protocol import Directive, Ended, Train
from tuner.training.run import TrainingRun
from tuner.training.runner.execute import execute
from tuner.training.workload import OpaqueWorkload

SCHEDULE = Schedule.model_validate(
    {"peak_lr": 0.01, "warmup": {"shape": "linear", "updates": 3}, "family": {"name": "cosine"}}
)


class FunctionWorkload(OpaqueWorkload):
    """A training from a function."""

    name, version, description, default_steps = "function", "1", "For tests.", 20
    optimizer = OptimizerKind.ADAM

    def __init__(self, body: Callable[[TrainingRun], None], *, metric: Metric) -> None:
        self._body = body
        self.metric = metric  # type: ignore[misc]  # of this one alone

    def train(self, run: TrainingRun, options: Any) -> None:
        self._body(run)


class Executed:
    """Trains a function for 20 updates as a runner would, and keeps the steps that were reported."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.steps: list[int] = []
        self.points: list[CurvePoint] = []
        self.updates = 0
        self.schedule = SCHEDULE
        self.lrs = SCHEDULE.lrs(20).tolist()

    def __call__(
        self,
        body: Callable[[TrainingRun], None],
        *,
        attempt: int = 1,
        stop_at: int | None = None,
        metric: Metric = DEFAULT_METRIC,
        total_steps: int = 20,
    ) -> Ended:
        self.steps, self.points, self.updates = [], [], 0

        def heard(message: Any) -> Directive:
            self.steps.append(message.point.step)
            self.points.append(message.point)
            self.updates += message.updates
            return Directive(stop=message.point.step == stop_at)

        request = Train(
            run_id="run",
            workload="function",
            options={},
            schedule=self.schedule,
            total_steps=total_steps,
            seed=3,
            snapshot_dir=str(self._folder / str(attempt)),
            snapshot_seconds=3600,
            metric=metric,
        )
        return execute(
            request,
            workloads={"function": FunctionWorkload(body, metric=metric)},
            device="cpu",
            on_evaluation=heard,
            on_snapshot=lambda _: None,
        )


@pytest.fixture
def executed(tmp_path: Path) -> Executed:
    return Executed(tmp_path)
