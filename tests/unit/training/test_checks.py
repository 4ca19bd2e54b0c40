"""The check of a workload: what keeps the contract passes, and each way to break it is found."""

from __future__ import annotations

import random
import signal
import threading
import time

import pytest
import torch

from tuner.errors import InvalidValue
from tuner.search.space import OptimizerKind
from tuner.training.checks.check import check
from tuner.training.checks.findings import Mark
from tuner.training.workload import OpaqueWorkload, StepwiseWorkload


def marks(workload, **options):
    report = check(workload, options=options, device="cpu", steps=20)
    return report, {finding.rule: finding.mark for finding in report.findings}


class Training:
    """A small stepwise training that keeps every rule; each flaw breaks one."""

    shared = torch.zeros(4)

    def __init__(self, flaw: str, seed: int) -> None:
        self.flaw = flaw
        self.seed = 0 if flaw == "seed" else seed
        weight = self.shared if flaw == "branch" else torch.zeros(4)
        if flaw == "branch":
            weight.zero_()
        self.model = torch.nn.Linear(4, 1, bias=False)
        self.model.weight = torch.nn.Parameter(weight.view(1, 4))
        self.model.register_buffer("calls", torch.zeros(()))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0, momentum=0.9)
        self.calls = 0

    def train_step(self, step, lr):
        if self.flaw == "raises":
            raise OSError("no data")
        self.calls += 1
        index = self.calls if self.flaw == "resume" else step
        self.optimizer.param_groups[0]["lr"] = 0.001 if self.flaw == "lr" else lr
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(1000 * self.seed + index))
        extra = random.SystemRandom().random() if self.flaw == "random" else 0.0
        loss = ((self.model(x) - x[:, :1] - 1.0 - extra) ** 2).mean() + self.model.calls
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.flaw == "twice":
            self.optimizer.step()
        return loss.detach() * float("nan") if self.flaw == "nan" else loss.detach()

    def validate(self):
        self.model.eval()
        if self.flaw == "weights":
            self.model.calls += 1  # type: ignore[operator,assignment]
        if self.flaw != "mode":
            self.model.train()
        return float((self.model.weight.detach() ** 2).sum())

    def state_dict(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.model.load_state_dict(state["model"])
        if self.flaw != "optimizer":
            self.optimizer.load_state_dict(state["optimizer"])


class Flawed(StepwiseWorkload):
    name, version, description, default_steps = "flawed", "1", "For tests.", 40
    optimizer = OptimizerKind.SGD

    def __init__(self, flaw: str = "") -> None:
        self.flaw = flaw

    def start(self, options, *, seed, device):
        return Training(self.flaw, seed)


def test_a_workload_that_keeps_the_contract_passes_every_rule():
    report, found = marks(Flawed())
    assert set(found.values()) == {Mark.OK}, report.findings
    assert report.ok
    assert report.seconds_per_update > 0
    assert "'declared' would leave the loop to the engine" in report.advice


@pytest.mark.parametrize(
    ("flaw", "rule"),
    [
        ("lr", "learning rates"),
        ("twice", "learning rates"),
        ("nan", "updates"),
        ("random", "same seed, same losses"),
        ("seed", "other seed, other losses"),
        ("resume", "snapshot and resume"),
        ("optimizer", "snapshot and resume"),
        ("optimizer", "branching"),
        ("branch", "branching"),
        ("weights", "evaluation"),
        ("mode", "evaluation"),
        ("raises", "runs"),
    ],
)
def test_each_way_to_break_a_rule_is_found(flaw, rule):
    report, found = marks(Flawed(flaw))
    assert found[rule] is Mark.BROKEN, report.findings
    assert not report.ok


class Loop(OpaqueWorkload):
    name, version, description, default_steps = "loop", "1", "For tests.", 40
    optimizer = OptimizerKind.ADAM

    def __init__(self, flaw: str = "") -> None:
        self.flaw = flaw

    def train(self, run, options):
        training = Training("", 0 if self.flaw == "seed" else run.seed)
        scheduler = run.scheduler(training.optimizer)
        checkpoint, first = run.snapshot_dir / "last.pt", 0
        if checkpoint.exists() and self.flaw != "no checkpoint":
            first, state = torch.load(checkpoint)
            training.load_state_dict(state)
            scheduler.load_state_dict({**scheduler.state_dict(), "updates_done": first})
            if self.flaw == "checkpoint":
                training.optimizer.state.clear()
        for step in range(first, run.total_steps):
            training.train_step(step, training.optimizer.param_groups[0]["lr"])
            if self.flaw != "lr":
                scheduler.step()
            wanted = run.evaluate_at[-1:] if self.flaw == "late" else run.evaluate_at
            if step + 1 in wanted and self.flaw != "silent":
                torch.save((step + 1, training.state_dict()), checkpoint)
                try:
                    run.report(step + 1, value=training.validate())
                except BaseException:
                    if self.flaw != "swallows":
                        raise


def test_an_opaque_workload_that_keeps_the_contract_passes_every_rule_that_can_be_tried():
    report, found = marks(Loop())
    assert report.ok
    assert found.pop("branching") is Mark.SKIPPED
    assert set(found.values()) == {Mark.OK}, report.findings
    assert "'stepwise'" in report.advice


@pytest.mark.parametrize(
    ("flaw", "rule", "mark"),
    [
        ("lr", "learning rates", Mark.BROKEN),
        ("seed", "other seed, other losses", Mark.BROKEN),
        ("silent", "runs", Mark.BROKEN),
        ("swallows", "stop", Mark.BROKEN),
        ("checkpoint", "interruption", Mark.BROKEN),
        ("no checkpoint", "interruption", Mark.NOTE),
        ("late", "evaluations", Mark.NOTE),
        ("late", "stop", Mark.SKIPPED),
    ],
)
def test_each_way_to_break_a_rule_of_opaque_code_is_found(flaw, rule, mark):
    report, found = marks(Loop(flaw))
    assert found[rule] is mark, report.findings
    assert report.ok == (Mark.BROKEN not in found.values())


class Pair(OpaqueWorkload):
    """A generator, and a discriminator that steps several times per update, before it or after it."""

    name, version, description, default_steps = "pair", "1", "For tests.", 40
    optimizer = OptimizerKind.ADAM

    def __init__(self, *, times: int = 5, before: bool = True, flaw: str = "") -> None:
        self.times, self.before, self.flaw = times, before, flaw

    def train(self, run, options):
        nets = [torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)]
        generator, discriminator = (
            torch.optim.AdamW(net.parameters(), lr=lr) for net, lr in zip(nets, (1e-4, 4e-4), strict=True)
        )
        if self.flaw == "peak":  # what two schedulers for one peak did
            schedulers = [run.scheduler(generator)]
            discriminator.param_groups[0]["lr"] = 0.1
        else:
            schedulers = [run.scheduler(generator, discriminator)]

        def update(net, optimizer):
            optimizer.zero_grad()
            net(torch.randn(4, 2)).pow(2).mean().backward()
            optimizer.step()

        for step in range(run.total_steps):
            if not self.before:
                update(nets[0], generator)
            for _ in range(self.times):
                update(nets[1], discriminator)
            if self.before:
                update(nets[0], generator)
            for scheduler in schedulers:
                scheduler.step()
            if step + 1 in run.evaluate_at:
                run.report(step + 1, value=nets[0].weight.pow(2).sum().item())


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("times", [1, 5, 15])
def test_an_optimizer_that_steps_several_times_per_update_follows_at_its_ratio(times: int, before: bool):
    report, found = marks(Pair(times=times, before=before))
    assert found["learning rates"] is Mark.OK, report.findings
    assert "follow the schedule at a share of" in str(report.findings)
    assert report.ok, report.findings


def test_an_optimizer_that_steps_more_often_and_follows_nothing_is_found():
    report, found = marks(Pair(times=5, flaw="peak"))
    assert found["learning rates"] is Mark.BROKEN, report.findings


def test_an_unknown_option_is_refused_before_anything_is_trained():
    with pytest.raises(InvalidValue, match="width"):
        marks(Flawed("raises"), width=3)


class Endless(OpaqueWorkload):
    """Trains on past its schedule in many ways."""

    name, version, description, default_steps = "endless", "1", "For tests.", 40
    optimizer = OptimizerKind.SGD

    def __init__(self, how: str) -> None:
        self.how = how

    def train(self, run, options):
        weight = torch.nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        generator = torch.Generator().manual_seed(run.seed)
        step = 0
        while True:
            optimizer.param_groups[0]["lr"] = run.lr(step)
            if self.how != "never reports" and step % 10 == 0 and step <= run.total_steps:
                run.report(step, value=weight.item())
            if self.how == "hangs after its result" and step == run.total_steps:
                threading.Event().wait(60)
            if self.how == "one update too many" and step > run.total_steps:
                return
            if self.how == "hangs" and step == 15:
                while True:
                    time.sleep(0.01)
            weight.grad = weight.detach() * 0.1 + torch.randn(1, generator=generator)
            optimizer.step()
            step += 1


@pytest.mark.parametrize(
    ("how", "detail"),
    [
        ("never reports", "it made 141 updates for 20 of the schedule and trained on: end the loop after run.total"),
        ("trains on", "its result is in, but it made 141 updates for 20 of the schedule and trained on"),
        ("hangs", "it had not ended 0.3 s after update 15, and made no update and no report since then"),
        ("hangs after its result", "its result is in, but it had not ended 0.3 s after the report after 20 of 20"),
    ],
)
def test_a_training_that_never_ends_is_ended_and_said_to_be_endless(how, detail):
    lines: list[str] = []
    report = check(Endless(how), options={}, device="cpu", steps=20, silence_seconds=0.3, on_progress=lines.append)
    (broken,) = [finding for finding in report.findings if finding.mark is Mark.BROKEN]
    assert broken.rule == "end"
    assert broken.detail.startswith(detail)
    assert lines[0] == "a whole run: 20 updates"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_update_too_many_is_said_and_is_no_broken_rule():
    report, found = marks(Endless("one update too many"))
    (note,) = [finding for finding in report.findings if "21 optimizer updates were made for 20" in finding.detail]
    assert note.mark is Mark.NOTE
    assert Mark.BROKEN not in found.values(), report.findings


def test_an_early_end_is_said_and_its_updates_follow_the_schedule():
    class Early(Loop):
        def train(self, run, options):
            training = Training("", run.seed)
            for step in range(12):
                training.train_step(step, run.lr(step))
            run.finish(12, value=training.validate())

    report, found = marks(Early())
    assert found["end"] is Mark.NOTE
    assert found["learning rates"] is Mark.OK, report.findings
    assert report.ok, report.findings
