from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import Field
from torch import nn

from tuner.jobs.records import SnapshotRef
from tuner.schedules import Schedule
from tuner.search.space import OptimizerKind
from tuner.training.protocol import Directive, Ended, Evaluated, SnapshotSaved, Train, Updated
from tuner.training.runner.execute import execute
from tuner.training.workload import Declaration, DeclaredWorkload, StepwiseWorkload, WorkloadOptions


@pytest.fixture
def schedule() -> Schedule:
    return Schedule.model_validate({"peak_lr": 0.05, "family": {"name": "linear"}})


class LineOptions(WorkloadOptions):
    slope: float = Field(default=2.0, ge=-10, le=10, description="Slope of the line, without a unit.")


class Line(DeclaredWorkload):
    """Fits a line through noisy points; dropout draws from torch's global generator."""

    name = "line"
    version = "1"
    description = "A line."
    default_steps = 40
    optimizer = OptimizerKind.SGD
    Options = LineOptions

    def declare(self, options: LineOptions, *, seed: int, device: torch.device) -> Declaration:
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1))

        def batch(step: int):
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            x = torch.randn(16, 4, generator=generator)
            return x, options.slope * x[:, :1]

        def loss(model, batch):
            return nn.functional.mse_loss(model(batch[0]), batch[1])

        def evaluate(model):
            return loss(model, batch(10**6)).item()

        optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
        return Declaration(model=model, optimizer=optimizer, batch=batch, loss=loss, evaluate=evaluate, clip_norm=5.0)


class Counter:
    """A stepwise training with hooks: what it returns, and what it does before, are given per update."""

    def __init__(self, *, on_step: Callable[[int], Any], on_validate: Callable[[int], Any]) -> None:
        self.steps: list[tuple[int, float]] = []
        self.done = 0
        self._on_step = on_step
        self._on_validate = on_validate

    def train_step(self, step: int, lr: float) -> Any:
        self.steps.append((step, lr))
        self.done += 1
        return self._on_step(step)

    def validate(self) -> Any:
        return self._on_validate(self.done)

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done = state["done"]


class Counting(StepwiseWorkload):
    """Hands out `Counter`s and keeps the last."""

    name = "counting"
    version = "1"
    description = "Counts."
    default_steps = 40
    optimizer = OptimizerKind.SGD

    def __init__(
        self, on_step: Callable[[int], Any] = lambda step: 1.0, on_validate: Callable[[int], Any] = lambda done: 1.0
    ) -> None:
        self.hooks = {"on_step": on_step, "on_validate": on_validate}
        self.training = Counter(**self.hooks)

    def start(self, options: WorkloadOptions, *, seed: int, device: torch.device) -> Counter:
        self.training = Counter(**self.hooks)
        return self.training


class Trainer:
    """Executes requests and remembers every message."""

    def __init__(self, *, folder: Path, schedule: Schedule) -> None:
        self.folder = folder
        self.schedule = schedule
        self.evaluated: list[Evaluated] = []
        self.saved: list[SnapshotSaved] = []
        self.signs: list[Updated] = []

    def request(self, workload: str, **changes: Any) -> Train:
        fields = {
            "run_id": "run",
            "workload": workload,
            "options": {},
            "schedule": self.schedule,
            "total_steps": 40,
            "seed": 7,
            "snapshot_dir": str(self.folder),
            "snapshot_seconds": 3600.0,
        }
        return Train(**(fields | changes))

    def __call__(
        self, offered: Any, *, directive: Callable[[Evaluated], Directive] = lambda message: Directive(), **changes: Any
    ) -> Ended:
        self.evaluated, self.saved, self.signs = [], [], []

        def on_evaluation(message: Evaluated) -> Directive:
            self.evaluated.append(message)
            return directive(message)

        request = self.request(**{"workload": offered.name, **changes})
        return execute(
            request,
            workloads={offered.name: offered},
            device="cpu",
            on_evaluation=on_evaluation,
            on_snapshot=self.saved.append,
            on_update=self.signs.append,
        )

    @property
    def updates_told(self) -> int:
        """What evaluations and snapshots of the last run told; its end tells the rest."""
        return sum(one.updates for one in self.evaluated) + sum(one.updates for one in self.saved)

    @property
    def newest(self) -> SnapshotRef:
        return self.saved[-1].snapshot


@pytest.fixture
def train(tmp_path: Path, schedule: Schedule) -> Trainer:
    return Trainer(folder=tmp_path / "snapshots", schedule=schedule)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def counting() -> type[Counting]:
    return Counting
