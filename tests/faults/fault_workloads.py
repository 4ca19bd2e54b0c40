"""Training code for the fault tests: one that can be held at an update, one that misbehaves on demand."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field

from tuner.search.space import OptimizerKind
from tuner.training.options import WorkloadOptions
from tuner.training.stepwise import StepwiseTraining
from tuner.training.workload import StepwiseWorkload

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
        if step == self.options.at_step:
            (gate / "waiting").write_text(str(os.getpid()))
            deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
            while not (gate / "open").exists():
                if time.monotonic() > deadline:
                    raise TimeoutError("the gate was never opened")
                time.sleep(0.01)
        with (gate / "trace").open("a") as trace:
            trace.write(f"{os.getpid()} {step}\n")

    def validate(self) -> float:
        return float(((self.weights - self.target) ** 2).mean())

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weights = state["weights"]


class HostileOptions(WorkloadOptions):
    how: str = Field(default="raise", description="What goes wrong.")


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


class HostileTraining(GatedTraining):
    def __init__(self, options: HostileOptions) -> None:
        super().__init__(GateOptions())
        self.how = options.how

    def train_step(self, step: int, lr: float) -> float:
        if step == 12:
            MISDEEDS[self.how]()
        return super().train_step(step, lr)


def segfault() -> None:
    ctypes.string_at(0)


def exit_silently() -> None:
    os._exit(0)


def sys_exit() -> None:
    sys.exit(3)


def raise_error() -> None:
    raise ValueError("the training data has a hole")


def allocate() -> None:
    torch.empty(1 << 40, dtype=torch.uint8)


def print_garbage() -> None:
    print("\x00\xff{not json}\n" * 200_000, flush=True)
    os.write(1, b'{"type": "ended"}\n' * 10)


def close_everything() -> None:
    os.closerange(3, 1024)
    time.sleep(_LONGEST_WAIT_SECONDS)


def write_on_the_pipe() -> None:
    for fd in range(3, 64):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
            if target.startswith("pipe:"):
                os.write(fd, b'{"type": "nonsense"}\n')
        except OSError:
            continue
    time.sleep(_LONGEST_WAIT_SECONDS)


def tell_secrets() -> None:
    worker = Path(f"/proc/{os.getppid()}/environ").read_text()
    print(worker.replace("\0", "\n"))


def hang() -> None:
    time.sleep(_LONGEST_WAIT_SECONDS)


MISDEEDS = {
    "segfault": segfault,
    "exit_silently": exit_silently,
    "sys_exit": sys_exit,
    "raise": raise_error,
    "allocate": allocate,
    "print_garbage": print_garbage,
    "close_everything": close_everything,
    "write_on_the_pipe": write_on_the_pipe,
    "tell_secrets": tell_secrets,
    "hang": hang,
}
