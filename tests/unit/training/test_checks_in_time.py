"""The check of a slow workload ends in time, and says what it left out."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import torch

from tuner.search.space import OptimizerKind
from tuner.training.checks import watch
from tuner.training.checks.check import check
from tuner.training.checks.findings import Mark
from tuner.training.workload import OpaqueWorkload, StepwiseWorkload

OPAQUE = ["same seed, same losses", "other seed, other losses", "stop", "interruption"]
STEPWISE = ["same seed, same losses", "other seed, other losses", "snapshot and resume", "branching", "evaluation"]


class Clock:
    """Time that passes when a training says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=made))
    return made


class Training:
    """One weight; an update takes some seconds of a clock."""

    def __init__(self, seed: int, *, clock: Clock, seconds: float) -> None:
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.optimizer = torch.optim.SGD([self.weight], lr=1.0)
        self.seed, self.clock, self.seconds = seed, clock, seconds

    def train_step(self, step, lr):
        self.clock.now += self.seconds
        self.optimizer.param_groups[0]["lr"] = lr
        generator = torch.Generator().manual_seed(1000 * self.seed + step)
        self.weight.grad = self.weight.detach() + torch.randn(1, generator=generator)
        self.optimizer.step()
        return self.weight.item()

    def validate(self):
        return self.weight.item()

    def state_dict(self):
        return {"weight": self.weight.detach().clone()}

    def load_state_dict(self, state):
        self.weight.data.copy_(state["weight"])


class Slow(StepwiseWorkload):
    name, version, description, default_steps = "slow", "1", "For tests.", 40
    optimizer = OptimizerKind.SGD

    def __init__(self, clock: Clock, *, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def start(self, options, *, seed, device):
        return Training(seed, clock=self.clock, seconds=self.seconds)


class SlowLoop(OpaqueWorkload):
    name, version, description, default_steps = "slow-loop", "1", "For tests.", 40
    optimizer = OptimizerKind.SGD

    def __init__(self, clock: Clock, *, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def train(self, run, options):
        training = Training(run.seed, clock=self.clock, seconds=self.seconds)
        for step in range(run.total_steps):
            training.train_step(step, run.lr(step))
            if step + 1 in run.evaluate_at:
                run.report(step + 1, value=abs(training.validate()))


class Waits(OpaqueWorkload):
    name, version, description, default_steps = "waits", "1", "For tests.", 40
    optimizer = OptimizerKind.SGD

    def __init__(self, *, after: int) -> None:
        self.after = after

    def train(self, run, options):
        training = Training(run.seed, clock=Clock(), seconds=0.0)
        for step in range(self.after):
            training.train_step(step, run.lr(step))
            if step + 1 in run.evaluate_at:
                run.report(step + 1, value=1.0)
        threading.Event().wait(60)


def checked(workload, *, seconds: float):
    report = check(workload, options={}, device="cpu", steps=20, time_seconds=seconds)
    return report, {finding.rule: finding for finding in report.findings}


@pytest.mark.parametrize(("workload", "rules"), [(Slow, STEPWISE), (SlowLoop, OPAQUE)])
def test_a_workload_that_is_fast_enough_is_tried_by_every_rule(clock, workload, rules):
    report, found = checked(workload(clock, seconds=0.1), seconds=50.0)  # 2 s a training
    assert report.left_out == ()
    assert all(found[rule].mark in (Mark.OK, Mark.NOTE) for rule in rules), report.findings


@pytest.mark.parametrize(
    ("workload", "seconds", "tried", "left_out"),
    [
        (SlowLoop, 1.0, OPAQUE[:1], OPAQUE[1:]),  # 20 s a run: two fit
        (SlowLoop, 2.0, [], OPAQUE),
        (Slow, 1.0, STEPWISE[:1], STEPWISE[1:]),
        (Slow, 2.0, [], STEPWISE),
    ],
)
def test_the_rules_that_there_is_no_time_for_are_left_out_by_name(clock, workload, seconds, tried, left_out):
    report, found = checked(workload(clock, seconds=seconds), seconds=50.0)
    assert report.left_out == tuple(left_out)
    assert found["learning rates"].mark is Mark.OK, report.findings
    assert all(found[rule].mark is Mark.OK for rule in tried), report.findings
    assert f"a training takes {20 * seconds:.2g} s, and of the 50 s of the check" in found[left_out[0]].detail
    assert report.ok
    assert clock.now <= 50.0


@pytest.mark.parametrize(
    ("workload", "whole", "rules"), [(Slow, "updates", STEPWISE), (SlowLoop, "a whole run", OPAQUE)]
)
def test_a_training_that_takes_longer_than_the_check_may_is_ended_and_what_was_seen_is_checked(
    clock, workload, whole, rules
):
    report, found = checked(workload(clock, seconds=6.0), seconds=50.0)
    assert report.left_out == (whole, *rules)
    assert "it had not ended when the 50 s of the check were over" in found[whole].detail
    assert found["learning rates"].mark is Mark.OK, report.findings
    assert report.ok
    assert clock.now < 60.0


def test_a_slow_loop_is_ended_within_an_update_too():
    report, found = checked(Waits(after=15), seconds=0.5)
    assert "the last that was seen of it is update 15" in found["a whole run"].detail
    assert report.left_out == ("a whole run", *OPAQUE)


def test_a_loop_that_has_its_result_but_does_not_end_in_time_is_said():
    report, found = checked(Waits(after=20), seconds=0.5)
    assert report.left_out == ("end", *OPAQUE)
    assert found["end"].detail.startswith(
        "its result is in, but it had not ended when the 0.5 s of the check were over"
    )


def test_a_check_that_has_seen_nothing_in_its_time_is_no_success():
    report, found = checked(Waits(after=0), seconds=0.5)
    assert found["a whole run"].mark is Mark.BROKEN
    assert found["a whole run"].detail.endswith("the last that was seen of it is its start")
    assert not report.ok
