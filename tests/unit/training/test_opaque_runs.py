"""Code that owns its loop: its reports, its stop, its divergence, its end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tuner.errors import InvalidValue
from tuner.search.space import OptimizerKind
from tuner.training.evaluation_steps import evaluation_steps
from tuner.training.opaque import prepare_folder
from tuner.training.protocol import Directive, Outcome
from tuner.training.run import RunStopped
from tuner.training.workload import OpaqueWorkload, describe


class Loop(OpaqueWorkload):
    """A loop given as a function of the run."""

    name = "loop"
    version = "1"
    description = "A loop."
    default_steps = 40
    optimizer = OptimizerKind.SGD

    def __init__(self, body) -> None:
        self.body = body

    def train(self, run, options):
        self.body(run)


class Fit:
    """A real loop with a torch optimizer and the run's scheduler, checkpointing at every report."""

    def __init__(self) -> None:
        self.lrs: list[float] = []
        self.folder: Path | None = None

    def __call__(self, run):
        weight = torch.nn.Parameter(torch.full((4,), 2.0))
        groups: list[dict[str, Any]] = [{"params": [weight]}, {"params": [], "lr": 0.05}]
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
        scheduler = run.scheduler(optimizer)
        self.folder, first = run.snapshot_dir, 0
        checkpoint = run.snapshot_dir / "last.pt"
        if checkpoint.exists():
            state = torch.load(checkpoint)
            first = state["step"]
            optimizer.load_state_dict(state["optimizer"])
            scheduler.load_state_dict(state["scheduler"])
            weight.data.copy_(state["weight"])
            run.resumed(first)
        for step in range(first, run.total_steps):
            noise = torch.randn(4, generator=torch.Generator().manual_seed(run.seed * 1000 + step))
            optimizer.zero_grad()
            ((weight + noise) ** 2).sum().backward()
            self.lrs.append(optimizer.param_groups[0]["lr"])
            assert optimizer.param_groups[1]["lr"] == self.lrs[-1] / 2
            optimizer.step()
            scheduler.step()
            if step + 1 in run.evaluate_at:
                state = {"step": step + 1, "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
                torch.save({**state, "weight": weight.detach()}, checkpoint)
                run.report(step + 1, value=(weight**2).sum(), train_loss=1.0)


def reports(*losses, upto=40):
    """A loop that reports these losses at even steps, the last one at ``upto``."""

    def body(run):
        for index, loss in enumerate(losses, start=1):
            run.report(upto * index // len(losses), value=loss)

    return body


def test_a_run_follows_the_schedule_and_its_last_report_is_the_result(train, schedule):
    fit = Fit()
    ended = train(Loop(fit))
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert fit.lrs == schedule.lrs(40).tolist()
    assert [message.point.step for message in train.evaluated] == list(evaluation_steps(40))
    assert ended.loss == train.evaluated[-1].point.val_loss
    assert train.updates_told + ended.updates == 40
    assert train.evaluated[0].point.lr == schedule.lrs(40)[9]
    assert train.evaluated[0].point.train_loss == 1.0


def test_the_last_update_is_always_among_those_to_evaluate_at(train):
    seen = {}
    for total in (10, 17, 1000):
        train(Loop(lambda run: seen.update({run.total_steps: run.evaluate_at})), total_steps=total)
    assert all(steps[-1] == total and list(steps) == sorted(steps) for total, steps in seen.items())


def test_a_stop_passes_except_exception_and_is_no_failure(train):
    after = []

    def body(run):
        try:
            run.report(10, value=1.0)
        except Exception:
            after.append("swallowed")
        after.append("went on")

    ended = train(Loop(body), directive=lambda message: Directive(stop=True, snapshot=True))
    assert (ended.outcome, ended.step, after) == (Outcome.STOPPED, 10, [])


@pytest.mark.parametrize("end", ["returns", "raises", "exits"])
def test_a_stop_that_is_swallowed_is_raised_again_and_stays_a_stop(train, end, caplog):
    raised = []

    def body(run):
        for step in range(10, 41, 10):
            try:
                run.report(step, value=1.0)
            except BaseException as stop:
                raised.append((step, type(stop)))
        if end == "raises":
            raise RuntimeError("cleaning up failed")
        if end == "exits":
            raise SystemExit(3)

    ended = train(Loop(body), directive=lambda message: Directive(stop=message.point.step == 20))
    assert (ended.outcome, ended.step) == (Outcome.STOPPED, 20)
    assert raised == [(20, RunStopped), (30, RunStopped), (40, RunStopped)]
    assert [message.point.step for message in train.evaluated] == [10, 20]
    assert ("after the end of run" in caplog.text) == (end != "returns")


def test_a_stop_at_the_last_update_comes_too_late(train):
    ended = train(Loop(reports(2.0, 1.0)), directive=lambda message: Directive(stop=message.point.step == 40))
    assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, 1.0)


@pytest.mark.parametrize("loss", [math.nan, math.inf, torch.tensor(math.nan)])
def test_a_loss_that_is_not_finite_is_divergence(train, loss):
    ended = train(Loop(reports(1.0, loss, 1.0, 1.0)))
    assert (ended.outcome, ended.step, ended.loss) == (Outcome.DIVERGED, 20, None)
    assert "after 20 updates is" in ended.reason
    assert train.updates_told + ended.updates == 20


def test_a_training_loss_that_is_not_finite_is_divergence_too(train):
    ended = train(Loop(lambda run: run.report(10, value=1.0, train_loss=math.nan)))
    assert ended.outcome is Outcome.DIVERGED
    assert "training loss" in ended.reason


def test_a_loss_far_above_the_first_report_is_divergence(train):
    assert train(Loop(reports(1.0, 2.9, 1.0))).outcome is Outcome.SUCCEEDED
    ended = train(Loop(reports(1.0, 3.1, 1.0)))
    assert ended.outcome is Outcome.DIVERGED
    assert "the first evaluation gave 1, and 3 is the limit" in ended.reason


def test_no_report_at_all_is_a_failure_that_says_what_is_due(train):
    ended = train(Loop(lambda run: None))
    assert ended.outcome is Outcome.FAILED
    assert "ended without a report; run.report(40, value=...) is due after the last update" in ended.reason


def test_a_last_report_that_is_early_is_a_failure_with_both_numbers(train):
    ended = train(Loop(reports(3.0, 2.0, upto=30)))
    assert ended.outcome is Outcome.FAILED
    assert "after 30 of 40 updates" in ended.reason


def test_an_exception_is_a_failure_with_its_traceback(train):
    ended = train(Loop(lambda run: 1 / 0))
    assert (ended.outcome, ended.reason) == (Outcome.FAILED, "ZeroDivisionError: division by zero")
    assert "test_opaque_runs.py" in ended.traceback


@pytest.mark.parametrize("step", [-1, 41, 1.5, None, "10"])
def test_a_step_that_is_none_is_refused(train, step):
    ended = train(Loop(lambda run: run.report(step, value=1.0)))
    assert ended.outcome is Outcome.FAILED
    assert "step must be updates done, a whole number in [0, 40]" in ended.reason


def test_reports_go_forward_and_say_one_thing_about_a_step(train):
    def body(run):
        run.report(20, value=1.0)
        run.report(20, value=1.0)
        with pytest.raises(InvalidValue, match=r"in \[20, 40\], got 10"):
            run.report(10, value=1.0)
        with pytest.raises(InvalidValue, match=r"step 20 already has 1\.0"):
            run.report(20, value=2.0)
        with pytest.raises(InvalidValue, match="value must be a number"):
            run.report(30, value=torch.zeros(2))
        run.report(40, value=0.5)

    ended = train(Loop(body))
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert len(train.evaluated) == 2


def test_an_error_of_the_listener_is_no_failure_of_the_code_even_when_that_swallows_it(train):
    def body(run):
        try:
            run.report(10, value=1.0)
        except BaseException:
            return

    class Away(BaseException):
        pass

    def directive(message):
        raise Away

    with pytest.raises(Away):
        train(Loop(body), directive=directive)


def test_an_interrupted_run_goes_on_from_its_own_files_in_the_next_attempt(train, tmp_path):
    whole = train(Loop(Fit()), snapshot_dir=str(tmp_path / "whole" / "1"))
    stopped = train(
        Loop(Fit()),
        snapshot_dir=str(tmp_path / "cut" / "1"),
        directive=lambda message: Directive(stop=message.point.step == 20),
    )
    assert stopped.outcome is Outcome.STOPPED
    fit = Fit()
    ended = train(Loop(fit), snapshot_dir=str(tmp_path / "cut" / "3"))  # an attempt between them left nothing
    assert ended.loss == whole.loss
    assert len(fit.lrs) == 20
    assert train.updates_told + ended.updates == 20
    assert fit.folder == tmp_path / "cut" / "3"
    assert [folder.name for folder in (tmp_path / "cut").iterdir()] == ["3"]


def test_a_checkpoint_of_another_schedule_is_refused(train, tmp_path):
    folder = str(tmp_path / "run" / "1")
    train(Loop(Fit()), snapshot_dir=folder, directive=lambda message: Directive(stop=True))
    ended = train(Loop(Fit()), snapshot_dir=folder, total_steps=50)
    assert ended.outcome is Outcome.FAILED
    assert "total_steps must be what the run was started with" in ended.reason


def test_folders_that_are_no_attempts_are_left_alone(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "7").mkdir()
    assert prepare_folder(tmp_path / "5").is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"notes", "5", "7"}
    assert prepare_folder(tmp_path / "by-hand").is_dir()


def test_it_describes_itself_as_opaque():
    assert describe(Loop(lambda run: None)).level.value == "opaque"
