"""Runs whose rates follow their loss: at every level, resumed, and what cannot follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.training.test_opaque_runs import Fit, Loop
from tuner.errors import InvalidValue
from tuner.metric import Metric
from tuner.schedules import Constant, ReduceOnPlateau, Schedule, Warmup
from tuner.sdk import run as script_run
from tuner.training.branches import BranchCache
from tuner.training.protocol import Branched, Directive, Outcome
from tuner.training.registry import load_provider
from tuner.training.runner.execute import execute
from tuner.training.stored_history import StoredHistory
from tuner.training.workload import describe

FOLLOWS = Schedule(
    peak_lr=0.4, family=ReduceOnPlateau(factor=0.5, patience=1), warmup=Warmup(shape="linear", updates=15)
)
STEPS = 200
LOSSES = [(step, max(1.0, 3.0 - step / 40)) for step in range(0, STEPS + 1, 10)]
"""Falls until update 80, and stays there."""
RATES = FOLLOWS.lrs(STEPS, losses=LOSSES)


def _loss(done: int) -> float:
    return dict(LOSSES)[done]


def _stop_with_snapshot(at: int):
    return lambda message: Directive(stop=message.point.step == at, snapshot=message.point.step == at)


def _points(train: Any) -> dict[int, tuple[float, float]]:
    return {message.point.step: (message.point.lr, message.point.val_loss) for message in train.evaluated}


def _follows(train: Any) -> None:
    """What the run trained with is what its own losses say."""
    points = _points(train)
    rates = FOLLOWS.lrs(STEPS, losses=[(step, loss) for step, (_, loss) in points.items()])
    assert [lr for step, (lr, _) in points.items()] == [rates[max(step - 1, 0)] for step in points]
    assert rates[-1] < FOLLOWS.peak_lr


def test_a_stepwise_training_gets_the_rates_of_its_own_losses(train, counting):
    workload = counting(on_validate=_loss)
    assert train(workload, schedule=FOLLOWS, total_steps=STEPS).outcome is Outcome.SUCCEEDED
    assert [lr for _, lr in workload.training.steps] == RATES.tolist()
    assert np.unique(RATES[80:]).size > 3
    _follows(train)


def test_a_maximized_metric_is_followed_by_its_loss(train, counting):
    workload = counting(on_validate=lambda done: 1.0 - _loss(done) / 4)
    workload.metric = Metric(name="accuracy", direction="maximize")
    train(workload, schedule=FOLLOWS, total_steps=STEPS, metric=workload.metric)
    losses = [(step, loss / 4 - 1.0) for step, loss in LOSSES]
    assert [lr for _, lr in workload.training.steps] == FOLLOWS.lrs(STEPS, losses=losses).tolist()


@pytest.mark.parametrize("cut", [10, 100, 150])
def test_a_resumed_training_has_the_rates_of_an_uninterrupted_one(train, counting, cut):
    workload = counting(on_validate=_loss)
    train(workload, schedule=FOLLOWS, total_steps=STEPS, directive=_stop_with_snapshot(cut))
    train(workload, schedule=FOLLOWS, total_steps=STEPS, resume=train.newest)
    assert workload.training.steps == list(enumerate(RATES.tolist()))[cut:]


def test_a_declared_training_that_is_resumed_ends_bit_for_bit_as_an_uninterrupted_one(train, line):
    schedule = FOLLOWS.model_copy(update={"peak_lr": 0.05})
    whole = train(line, schedule=schedule, total_steps=STEPS)
    points = _points(train)
    assert len({lr for lr, _ in points.values()}) > 3
    train(line, schedule=schedule, total_steps=STEPS, directive=_stop_with_snapshot(150))
    resumed = train(line, schedule=schedule, total_steps=STEPS, resume=train.newest)
    assert resumed.loss == whole.loss
    assert _points(train) == {step: point for step, point in points.items() if step > 150}


def test_an_early_end_at_an_evaluation_leaves_the_run_with_its_result(train):
    def body(run):
        for step in range(100):
            run.lr(step)
            if (step + 1) % 10 == 0:
                run.report(step + 1, value=1.0)
        run.finish(100, value=0.5)

    assert train(Loop(body), schedule=FOLLOWS, total_steps=STEPS).loss == 0.5


def _reading(rates: dict[int, float]):
    def body(run):
        first = int(next(iter(run.snapshot_dir.glob("step-*")), Path("step-0")).name.removeprefix("step-"))
        run.resumed(first)
        for step in range(first, run.total_steps):
            rates[step] = run.lr(step)
            if step + 1 in run.evaluate_at:
                (run.snapshot_dir / f"step-{first}").unlink(missing_ok=True)
                run.report(step + 1, value=_loss(step + 1))
                first = step + 1
                (run.snapshot_dir / f"step-{first}").touch()

    return body


def test_code_that_reads_one_rate_after_the_other_follows_its_reports(train):
    rates: dict[int, float] = {}
    train(Loop(_reading(rates)), schedule=FOLLOWS, total_steps=STEPS)
    assert list(rates.values()) == RATES.tolist()
    _follows(train)


def test_code_that_reads_rates_is_resumed_with_the_losses_of_the_last_attempt(train, tmp_path):
    rates: dict[int, float] = {}
    workload = Loop(_reading(rates))
    cut = lambda message: Directive(stop=message.point.step == 150)  # noqa: E731
    train(workload, schedule=FOLLOWS, total_steps=STEPS, snapshot_dir=str(tmp_path / "1"), directive=cut)
    assert max(rates) == 149
    train(workload, schedule=FOLLOWS, total_steps=STEPS, snapshot_dir=str(tmp_path / "2"))
    assert [rates[step] for step in sorted(rates)] == RATES.tolist()


def test_code_with_a_scheduler_is_resumed_bit_for_bit(train, tmp_path):
    schedule = Schedule(peak_lr=0.05, family=ReduceOnPlateau(factor=0.9, patience=0, threshold=0.5))
    whole, parts = Fit(), Fit()
    train(Loop(whole), schedule=schedule, total_steps=STEPS, snapshot_dir=str(tmp_path / "whole" / "1"))
    assert len(set(whole.lrs)) > 5
    cut = lambda message: Directive(stop=message.point.step == 150)  # noqa: E731
    for attempt in ("1", "2"):
        options = {"directive": cut} if attempt == "1" else {}
        train(Loop(parts), schedule=schedule, total_steps=STEPS, snapshot_dir=str(tmp_path / attempt), **options)
    assert parts.lrs == whole.lrs  # although its checkpoint was written before the report that stopped it


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda run: run.lrs, "run.lrs must be of a family whose rates are known before the run"),
        (lambda run: run.report(10, value=1.0), "the learning rate must be read from the run"),
    ],
)
def test_code_that_cannot_follow_the_loss_fails_with_what_to_do(train, body, reason):
    ended = train(Loop(body), schedule=FOLLOWS, total_steps=STEPS)
    assert ended.outcome is Outcome.FAILED
    assert reason in ended.reason
    assert "run.lr(step)" in ended.reason


def test_a_run_that_follows_its_loss_shares_nothing_with_a_constant_rate(tmp_path, train, counting):
    branches = BranchCache(limit_bytes=10**6)
    branched: list[Branched] = []
    workload = counting(on_validate=_loss)
    constant = FOLLOWS.model_copy(update={"family": Constant()})
    for schedule in (constant, FOLLOWS, constant):
        request = train.request("counting", schedule=schedule, total_steps=STEPS, branch_points=(80, 200))
        execute(
            request,
            workloads={"counting": workload},
            device="cpu",
            on_evaluation=lambda _: Directive(),
            on_snapshot=lambda _: None,
            on_branch=branched.append,
            branches=branches,
        )
        assert bool(branched) == (schedule is constant and len(workload.training.steps) < STEPS)
        if schedule is FOLLOWS:
            assert [lr for _, lr in workload.training.steps] == RATES.tolist()
    assert [message.step for message in branched] == [200]


FILE = """
name = "script"
version = "1"
description = "A script."
command = ["{python}", "script.py"%s]
default_steps = 200
optimizer = "sgd"
"""
SCRIPT = f"""
import json, os, sys
from tuner.sdk import run as begin
run = begin()
assert "TUNER_LRS_FILE" not in os.environ
losses = dict({LOSSES!r})
checkpoint = run.snapshot_dir / "step"
first = int(checkpoint.read_text()) if checkpoint.exists() else 0
run.resumed(first)
with open({{log!r}}, "a") as log:
    for step in range(first, run.total_steps):
        print(step, run.lr(step), file=log, flush=True)
        if step + 1 in run.evaluate_at:
            run.report(step + 1, value=losses[step + 1])
            checkpoint.write_text(str(step + 1))
        if step + 1 == 150 and first == 0:
            os.kill(os.getpid(), 9)
"""


@pytest.fixture
def script(tmp_path):
    def offer(body: str, *, arguments: str = "", more: str = ""):
        (tmp_path / "script.toml").write_text(FILE % arguments + more)
        (tmp_path / "script.py").write_text(body)
        (workload,) = load_provider(str(tmp_path / "script.toml")).values()
        return workload

    return offer


def test_a_script_that_is_killed_continues_with_the_losses_of_its_last_attempt(script, train, tmp_path):
    log = tmp_path / "rates"
    workload = script(SCRIPT.replace("{log!r}", repr(str(log))))
    ended = train(workload, schedule=FOLLOWS, total_steps=STEPS, snapshot_dir=str(tmp_path / "run" / "1"))
    assert ended.outcome is Outcome.FAILED
    ended = train(workload, schedule=FOLLOWS, total_steps=STEPS, snapshot_dir=str(tmp_path / "run" / "2"))
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [int(step) for step, _ in lines] == list(range(STEPS))
    assert [float(rate) for _, rate in lines] == RATES.tolist()
    assert train.evaluated[-1].point.lr == RATES[-1]


def test_a_program_that_reports_without_having_used_a_rate_fails_with_what_to_do(script, train):
    body = (
        "import json, os\nprint(json.dumps({'step': 200, 'value': 1.0}), file=open(os.environ['TUNER_REPORTS'], 'a'))"
    )
    ended = train(script(body), schedule=FOLLOWS, total_steps=STEPS)
    assert ended.outcome is Outcome.FAILED
    assert (
        "the learning rate must be read from the run, as those of reduce_on_plateau follow its reports" in ended.reason
    )


def test_a_command_with_the_file_of_rates_says_that_it_needs_them(script):
    assert not describe(script("")).needs_lrs
    assert describe(script("", arguments=', "--lrs={lrs_file}"')).needs_lrs
    assert describe(script("", more="needs_lrs = true")).needs_lrs


def test_a_script_alone_follows_its_own_reports(tmp_path):
    run = script_run(total_steps=STEPS, schedule=FOLLOWS, snapshot_dir=tmp_path)
    rates = []
    for step in range(STEPS):
        rates.append(run.lr(step))
        if step + 1 in run.evaluate_at:
            run.report(step + 1, value=_loss(step + 1))
    assert rates == RATES.tolist()


def test_every_process_of_a_training_follows_the_value_that_it_reports(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    run = script_run(total_steps=STEPS, schedule=FOLLOWS, snapshot_dir=tmp_path)
    scheduler = run.scheduler(optimizer := torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0))
    rates = []
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        if step + 1 in run.evaluate_at:
            run.report(step + 1, value=_loss(step + 1))
    assert rates == RATES.tolist()
    assert run.reports == []
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_never_hears_of_an_evaluation_is_refused_before_the_models_drift_apart(tmp_path, monkeypatch):
    first, second = (script_run(total_steps=STEPS, schedule=FOLLOWS, snapshot_dir=tmp_path) for _ in range(2))
    second.lr(0)
    for step in range(11):
        first.lr(step)
        if step + 1 in first.evaluate_at:
            first.report(step + 1, value=_loss(step + 1))
    second.lr(10)  # its own report may be due still
    with pytest.raises(InvalidValue, match=r"in every process of the training .*not called after 10 updates"):
        second.lr(11)
    monkeypatch.setenv("RANK", "1")
    second.report(10, value=_loss(10))
    assert second.lr(11) == first.lr(11)


def test_a_scheduler_of_a_process_that_never_hears_of_an_evaluation_is_refused(tmp_path):
    first, second = (script_run(total_steps=STEPS, schedule=FOLLOWS, snapshot_dir=tmp_path) for _ in range(2))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = second.scheduler(optimizer)
    first.lr(9)
    first.report(10, value=1.0)
    for _ in range(10):
        optimizer.step()
        scheduler.step()
    optimizer.step()
    with pytest.raises(InvalidValue, match=r"run\.follow\(step, value=\.\.\.\)"):
        scheduler.step()


def test_a_line_that_was_cut_off_on_a_full_disk_is_not_read(tmp_path):
    file = tmp_path / "evaluations"
    file.write_text("[10, 1.5]\n[20, 1.")
    assert StoredHistory(file).losses == ((10, 1.5),)
