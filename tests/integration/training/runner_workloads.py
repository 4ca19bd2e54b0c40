"""Workloads that a runner under test offers: `python -m tuner.training.runner --workloads runner_workloads:offered`."""

from __future__ import annotations

import os
import sys
import time

import torch

from tuner.search.space import OptimizerKind
from tuner.training.workload import StepwiseWorkload


class Walk:
    """A random walk of a million numbers, so that its snapshots take a while to write."""

    def __init__(self, numbers: int) -> None:
        self.position = torch.zeros(numbers)

    def train_step(self, step, lr):
        self.position += lr * torch.randn(1)
        return self.position[0].abs()

    def validate(self):
        return float(self.position[0].abs())

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position.copy_(state["position"])


class Base(StepwiseWorkload):
    version = "1"
    description = "For tests."
    default_steps = 40
    optimizer = OptimizerKind.SGD


class Heavy(Base):
    name = "heavy"

    def start(self, options, *, seed, device):
        return Walk(1_000_000)


class Noisy(Base):
    name = "noisy"

    def start(self, options, *, seed, device):
        print('{"type":"ended","run_id":"run","outcome":"succeeded","step":40,"updates":0,"loss":0.0}')
        print("\x00\xff garbage", file=sys.stderr)
        os.write(1, b"\xff\xfe\n")
        return Walk(1)


class Quitting(Base):
    name = "quitting"

    def start(self, options, *, seed, device):
        sys.exit("that is all")


class Stuck(Base):
    name = "stuck"

    def start(self, options, *, seed, device):
        while True:
            time.sleep(60)


def offered():
    return {workload.name: workload for workload in (Heavy(), Noisy(), Quitting(), Stuck())}
