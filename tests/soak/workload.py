"""Training code of the soak: its loss shows whether every update was made once, in order, at its own rate."""

from __future__ import annotations

import os
import time
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from tuner.schedules import Schedule
from tuner.search.space import OptimizerKind
from tuner.training.options import WorkloadOptions
from tuner.training.stepwise import StepwiseTraining
from tuner.training.workload import StepwiseWorkload

_DIMENSIONS = 16


class SoakOptions(WorkloadOptions):
    seconds: float = Field(default=0.0, ge=0.0, description="Duration of an update.")
    trace: str = Field(default="", description="File that gets a byte for every update that is made; none when empty.")


class Soak(StepwiseWorkload):
    """Noisy descent on a quadratic; an update that is lost, repeated or out of order changes the loss."""

    name: ClassVar[str] = "soak"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Noisy descent on a quadratic; the distance from its minimum."
    default_steps: ClassVar[int] = 300
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    Options = SoakOptions

    def start(self, options: SoakOptions, *, seed: int, device: torch.device) -> StepwiseTraining:
        return SoakTraining(options, seed=seed)


class SoakTraining:
    """One training: the noise of an update is a function of the seed and the update."""

    def __init__(self, options: SoakOptions, *, seed: int) -> None:
        self._seconds = options.seconds
        self._trace = options.trace
        self._seed = seed
        self._curvature = np.linspace(0.2, 1.0, _DIMENSIONS)
        self._weights = np.ones(_DIMENSIONS)

    def train_step(self, step: int, lr: float) -> float:
        loss = self.validate()
        noise = np.random.default_rng((self._seed, step)).normal(size=_DIMENSIONS)
        self._weights = self._weights - lr * (self._curvature * self._weights + 0.1 * noise)
        if self._trace:
            _append(self._trace)
        if self._seconds:
            time.sleep(self._seconds)
        return loss

    def validate(self) -> float:
        return float(0.5 * np.sum(self._curvature * self._weights**2))

    def state_dict(self) -> dict[str, Any]:
        return {"weights": torch.from_numpy(self._weights.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._weights = state["weights"].numpy().copy()


def undisturbed_loss(schedule: Schedule, *, total_steps: int, seed: int) -> float:
    """The loss at the end of a training that nothing interrupts."""
    training = SoakTraining(SoakOptions(), seed=seed)
    for step, lr in enumerate(schedule.lrs(total_steps)):
        training.train_step(step, float(lr))
    return training.validate()


def _append(file: str) -> None:
    """Append one byte, whole or not at all, by whichever process: O_APPEND."""
    number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(number, b".")
    finally:
        os.close(number)
