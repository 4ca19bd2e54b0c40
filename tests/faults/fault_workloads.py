"""Training code for the fault tests: one that can be held at an update, one that misbehaves on demand."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field

from tests.faults.hostile_workloads import MISDEEDS
from tuner.search.space import OptimizerKind
from tuner.training.options import WorkloadOptions
from tuner.training.run import RunStopped, TrainingRun
from tuner.training.stepwise import StepwiseTraining
from tuner.training.workload import OpaqueWorkload, StepwiseWorkload

_LONGEST_WAIT_SECONDS = 120.0


class GateOptions(WorkloadOptions):
    gate: str = Field(default="", description="Folder of the gate; none when empty.")
    at_step: int = Field(default=-1, description="Update before which the run waits until the gate is open.")


class Gated(StepwiseWorkload):
    """Linear regression with noise from the global generator, which only a faithful resume repeats."""

    name: ClassVar[str] = "gated"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Noisy linear regression that can be held at an update."
    default_steps: ClassVar[int] = 60
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    Options = GateOptions

    def start(self, options: GateOptions, *, seed: int, device: torch.device) -> StepwiseTraining:
        return GatedTraining(options)


class GatedTraining:
    def __init__(self, options: GateOptions) -> None:
        self.options = options
        self.target = torch.linspace(-1.0, 1.0, 16)
        self.weights = torch.randn(16)

    def train_step(self, step: int, lr: float) -> float:
        if self.options.gate:
            self.pass_gate(Path(self.options.gate), step=step)
        noise = 0.1 * torch.randn(16)
        error = self.weights - self.target + noise
        self.weights = self.weights - lr * error
        return float((error**2).mean())

    def pass_gate(self, gate: Path, *, step: int) -> None:
        moved = gate / "at"
        if step == (int(moved.read_text()) if moved.exists() else self.options.at_step):
            wait_for_gate(gate)
        with (gate / "trace").open("a") as trace:
            trace.write(f"{os.getpid()} {step}\n")

    def validate(self) -> float:
        return float(((self.weights - self.target) ** 2).mean())

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weights = state["weights"]


class HostileOptions(WorkloadOptions):
    how: str = Field(default="raise_error", description="What goes wrong.")
    folder: str = Field(default=".", description="Where it leaves word of what it did.")
    batch_size: int = Field(default=32, description="Of no effect.")


class Hostile(StepwiseWorkload):
    """Does its worst at update 12, when one evaluation has been told."""

    name: ClassVar[str] = "hostile"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Misbehaves."
    default_steps: ClassVar[int] = 60
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    Options = HostileOptions

    def start(self, options: HostileOptions, *, seed: int, device: torch.device) -> StepwiseTraining:
        return HostileTraining(options)


class Quiet(OpaqueWorkload):
    """Owns its loop, and forgets to report."""

    name: ClassVar[str] = "quiet"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Reports nothing."
    default_steps: ClassVar[int] = 60
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD

    def train(self, run: TrainingRun, options: WorkloadOptions) -> None:
        for step in range(run.total_steps):
            run.lr(step)


class Hopeless(OpaqueWorkload):
    """Owns its loop and learns nothing; once it is stopped, it can be held before it ends."""

    name: ClassVar[str] = "hopeless"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Learns nothing."
    default_steps: ClassVar[int] = 200
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    Options = GateOptions

    def train(self, run: TrainingRun, options: GateOptions) -> None:
        try:
            for step in run.evaluate_at:
                run.report(step, value=3.0)
        except RunStopped:
            gate = Path(options.gate)
            with (gate / "stops").open("a") as stops:
                stops.write(f"{os.getpid()}\n")
            wait_for_gate(gate)
            raise


def wait_for_gate(gate: Path) -> None:
    (gate / "waiting").write_text(str(os.getpid()))
    deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
    while not (gate / "open").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the gate was never opened")
        time.sleep(0.01)


class HostileTraining(GatedTraining):
    def __init__(self, options: HostileOptions) -> None:
        super().__init__(GateOptions())
        self.how = options.how
        self.folder = Path(options.folder)
        self.step = 0

    def train_step(self, step: int, lr: float) -> float:
        self.step = step
        if step == 12 and self.how != "raise_in_validate":
            MISDEEDS[self.how](self.folder)
        return math.nan if step == 12 and self.how == "lose_the_loss" else super().train_step(step, lr)

    def validate(self) -> float:
        if self.step > 12 and self.how == "raise_in_validate":
            MISDEEDS[self.how](self.folder)
        return super().validate()
