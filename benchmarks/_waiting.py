"""Training code whose updates take a fixed time, and which records when it worked in a trace."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field

from tuner.search.space import OptimizerKind
from tuner.training.options import WorkloadOptions
from tuner.training.workload import StepwiseWorkload


class WaitingOptions(WorkloadOptions):
    seconds: float = Field(default=0.05, ge=0.0, le=10.0, description="How long an update takes, in seconds.")
    trace: str = Field(default="", description="File of the trace: start and end of all work.")


class Waiting(StepwiseWorkload):
    """Noisy linear regression; the wait stands for a device at work."""

    name: ClassVar[str] = "waiting"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Noisy linear regression whose updates take a fixed time."
    default_steps: ClassVar[int] = 270
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    peak_lr: ClassVar = {OptimizerKind.SGD: (0.005, 0.5)}
    Options = WaitingOptions

    def start(self, options: WaitingOptions, *, seed: int, device: torch.device) -> WaitingTraining:
        return WaitingTraining(options)


class WaitingTraining:
    def __init__(self, options: WaitingOptions) -> None:
        self.seconds = options.seconds
        self.trace = Path(options.trace).open("a", buffering=1)  # noqa: SIM115 - until the training is over
        self.target = torch.linspace(-1.0, 1.0, 16)
        self.weights = torch.randn(16)
        self.unwritten = f"run {time.time():.6f} {time.time():.6f}\n"

    def train_step(self, step: int, lr: float) -> float:
        began = self._begin()
        error = self.weights - self.target + 0.1 * torch.randn(16)
        self.weights = self.weights - lr * error
        time.sleep(max(0.0, began + self.seconds - time.time()))
        self.unwritten = f"update {began:.6f} {time.time():.6f}\n"
        return float((error**2).mean())

    def validate(self) -> float:
        began = self._begin()
        loss = float(((self.weights - self.target) ** 2).mean())
        self.trace.write(f"{self.unwritten}evaluation {began:.6f} {time.time():.6f}\n")
        self.unwritten = ""
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weights = state["weights"]

    def _begin(self) -> float:
        """The time; writes the trace of the previous work during the present one, which waits anyway."""
        began = time.time()
        self.trace.write(self.unwritten)
        self.unwritten = ""
        return began
