"""Loops by epochs: the updates of each, where they are evaluated, and the mistakes that they invite."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from tuner.errors import InvalidValue
from tuner.sdk import run as script_run
from tuner.search.space import OptimizerKind
from tuner.training.evaluation_steps import EVALUATIONS
from tuner.training.protocol import Outcome
from tuner.training.workload import OpaqueWorkload

LENGTHS = {"total_steps": st.integers(1, 5000), "steps_per_epoch": st.integers(1, 700)}


class Loop(OpaqueWorkload):
    name, version, description, default_steps = "loop", "1", "A loop.", 40
    optimizer = OptimizerKind.SGD

    def __init__(self, body) -> None:
        self.body = body

    def train(self, run, options):
        self.body(run)


@given(**LENGTHS)
def test_the_epochs_of_a_run_have_each_of_its_updates_once_in_order(total_steps, steps_per_epoch):
    run = script_run(total_steps=total_steps, snapshot_dir=Path())
    epochs = list(run.epochs(steps_per_epoch))
    assert [epoch for epoch, _ in epochs] == list(range(len(epochs)))
    assert [step for _, steps in epochs for step in steps] == list(range(total_steps))
    assert {len(steps) for _, steps in epochs[:-1]} <= {steps_per_epoch}
    assert 1 <= len(epochs[-1][1]) <= steps_per_epoch


@given(**LENGTHS)
def test_a_run_by_epochs_is_evaluated_at_ends_of_epochs_and_at_no_more_than_others_are(total_steps, steps_per_epoch):
    run = script_run(total_steps=total_steps, snapshot_dir=Path())
    ends = [steps.stop for _, steps in run.epochs(steps_per_epoch)]
    assert set(run.evaluate_at) <= set(ends)
    assert len(run.evaluate_at) == min(len(ends), EVALUATIONS)
    assert run.evaluate_at[-1] == total_steps
    assert list(run.evaluate_at) == sorted(set(run.evaluate_at))


@given(**LENGTHS, data=st.data())
def test_a_resumed_run_goes_on_within_its_epoch(total_steps, steps_per_epoch, data):
    run = script_run(total_steps=total_steps, snapshot_dir=Path())
    whole = list(run.epochs(steps_per_epoch))
    done = data.draw(st.integers(0, total_steps))
    run.resumed(done)
    rest = list(run.epochs(steps_per_epoch))
    assert [step for _, steps in rest for step in steps] == list(range(done, total_steps))
    assert [(epoch, steps.stop) for epoch, steps in rest] == [
        (epoch, steps.stop) for epoch, steps in whole if steps.stop > done
    ]


@given(batches=st.integers(1, 60), batches_per_step=st.integers(1, 9), total_steps=st.integers(1, 400), data=st.data())
def test_the_batches_of_a_loader_are_cut_with_the_updates(batches, batches_per_step, total_steps, data):
    assume(batches_per_step <= batches)
    loader, each = range(batches), batches // batches_per_step
    run = script_run(total_steps=total_steps, snapshot_dir=Path())
    done = data.draw(st.integers(0, total_steps))
    run.resumed(done)
    found = list(run.epochs_over(loader, batches_per_step=batches_per_step))
    assert [(epoch, steps) for epoch, steps, _ in found] == list(run.epochs(each))
    for epoch, steps, own in found:
        used = list(own)
        assert len(own) == batches
        if len(steps) == each:
            assert own is loader
        else:
            first = (steps.start - epoch * each) * batches_per_step
            assert used == list(range(first, first + len(steps) * batches_per_step))


def test_a_cut_loader_has_the_length_and_the_attributes_of_the_loader():
    loader = DataLoader(TensorDataset(torch.arange(12)), batch_size=2)
    run = script_run(total_steps=8, snapshot_dir=Path())
    (_, _, whole), (_, _, cut) = run.epochs_over(loader)
    assert whole is loader
    assert (len(cut), len(cut.dataset), cut.batch_size) == (6, 12, 2)
    assert [batch.tolist() for (batch,) in cut] == [[0, 1], [2, 3]]


@pytest.mark.parametrize("wrong", [0, 7, 1.0])
def test_batches_per_step_that_make_no_update_are_refused(wrong):
    with pytest.raises(InvalidValue, match="batches_per_step must be batches that make an update, a whole number from"):
        script_run(total_steps=8, snapshot_dir=Path()).epochs_over(range(6), batches_per_step=wrong)


def test_a_scheduler_that_steps_itself_follows_the_updates_of_the_reference_alone(train, schedule):
    rates, others = [], []

    def body(run):
        slow, fast = (torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr) for lr in (0.1, 0.05))
        run.scheduler(slow, fast, steps_itself=True)
        for _ in range(run.total_steps):
            rates.append(slow.param_groups[0]["lr"])
            for optimizer in (fast, slow, fast):
                others.append(fast.param_groups[0]["lr"])
                optimizer.step()
        run.report(run.total_steps, value=1.0)

    ended = train(Loop(body))
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert rates == schedule.lrs(40).tolist()
    assert others[::3] == [rate / 2 for rate in rates]


@pytest.mark.parametrize("wrong", [0, -3, 2.5, True, "938"])
def test_an_epoch_without_updates_is_refused_with_what_to_write(wrong):
    with pytest.raises(InvalidValue, match=r"steps_per_epoch must be optimizer updates of an epoch.*len\(loader\)"):
        script_run(total_steps=10, snapshot_dir=Path()).epochs(wrong)


def test_a_training_by_epochs_reports_at_the_end_of_each_and_follows_the_schedule(train, schedule):
    rates, batches = [], range(15)  # 40 updates: the third epoch is cut

    def body(run):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
        scheduler = run.scheduler(optimizer)
        for _, steps in run.epochs(len(batches)):
            for _, _ in zip(steps, batches, strict=False):
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                scheduler.step()
            run.report(steps.stop, value=1.0)

    ended = train(Loop(body))
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert [message.point.step for message in train.evaluated] == [15, 30, 40]
    assert rates == schedule.lrs(40).tolist()


@pytest.mark.parametrize("before", [True, False])
def test_a_scheduler_that_steps_once_per_epoch_is_refused_with_its_place(train, before):
    def body(run):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
        scheduler = run.scheduler(optimizer)
        for _, steps in run.epochs(10):
            for _ in steps:
                optimizer.step()
            if before:
                scheduler.step()
            run.report(steps.stop, value=1.0)
            if not before:
                scheduler.step()

    ended = train(Loop(body))
    assert ended.outcome is Outcome.FAILED
    made = 10 if before else 20
    assert f"the steps of the run's scheduler must be one per optimizer update, {made} so far, got 1" in ended.reason
    assert "Call scheduler.step() after every optimizer.step(), in the inner loop" in ended.reason


def test_a_schedule_that_is_a_few_skipped_updates_behind_is_accepted(train):
    def body(run):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
        scheduler = run.scheduler(optimizer)
        for _, steps in run.epochs(10):
            for step in steps:
                optimizer.step()
                if step >= 6:  # a gradient scaler that starts high skips the first ones
                    scheduler.step()
            run.report(steps.stop, value=1.0)

    assert train(Loop(body)).outcome is Outcome.SUCCEEDED
