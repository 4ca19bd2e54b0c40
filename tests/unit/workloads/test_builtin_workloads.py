from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tuner.jobs.records import SnapshotRef
from tuner.schedules import Schedule
from tuner.search.space import OptimizerKind
from tuner.training.data import derived_seed
from tuner.training.protocol import Directive, Outcome, Train
from tuner.training.runner.execute import execute
from tuner.training.workload import describe
from tuner.workloads import builtin_workloads

WORKLOADS: dict[str, Any] = dict(builtin_workloads())
STEPS = 40
CPU = torch.device("cpu")
SCHEDULE = Schedule.model_validate(
    {"peak_lr": 0.01, "family": {"name": "linear"}, "warmup": {"shape": "linear", "updates": 5}}
)


def run(name, folder, *, stop_at=None, resume=None, optimizer=OptimizerKind.SGD, seed=3):
    points, saved = [], []

    def on_evaluation(message):
        points.append(message.point)
        stop = message.point.step == stop_at
        return Directive(stop=stop, snapshot=stop)

    request = Train(
        run_id="run",
        workload=name,
        options={"optimizer": optimizer},
        schedule=SCHEDULE,
        total_steps=STEPS,
        seed=seed,
        snapshot_dir=str(folder),
        snapshot_seconds=3600.0,
        resume=resume,
    )
    ended = execute(request, workloads=WORKLOADS, device="cpu", on_evaluation=on_evaluation, on_snapshot=saved.append)
    return ended, points, [message.snapshot for message in saved]


def test_the_four_are_there():
    assert set(WORKLOADS) == {"digits-mlp", "digits-cnn", "pydoc-charlm", "terrain-mlp"}


@pytest.mark.parametrize("name", WORKLOADS)
class TestEveryWorkload:
    def test_it_describes_itself(self, name):
        info = describe(WORKLOADS[name])
        assert info.name == name
        assert info.optimizer_option == "optimizer"
        assert set(info.peak_lr) == {"sgd", "adam"}
        assert all(100 <= high / low <= 1000 for low, high in info.peak_lr.values())

    @pytest.mark.parametrize("optimizer", list(OptimizerKind))
    def test_it_learns_and_the_same_seed_gives_the_same_losses(self, name, optimizer, tmp_path):
        ended, points, _ = run(name, tmp_path, optimizer=optimizer)
        assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
        assert ended.loss == points[-1].val_loss < points[0].val_loss
        assert run(name, tmp_path, optimizer=optimizer)[1] == points

    @pytest.mark.parametrize("optimizer", list(OptimizerKind))
    def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(self, name, optimizer, tmp_path):
        _, whole, _ = run(name, tmp_path / "whole", optimizer=optimizer)
        stop_at = 10 * (1 + derived_seed(0, name, optimizer) % 3)
        _, first, saved = run(name, tmp_path / "first", optimizer=optimizer, stop_at=stop_at)
        assert isinstance(saved[0], SnapshotRef)
        _, rest, _ = run(name, tmp_path / "second", optimizer=optimizer, resume=saved[0])
        assert first + rest == whole

    def test_another_seed_gives_another_order_and_the_same_validation_data(self, name):
        workload = WORKLOADS[name]
        parts = [workload.declare(workload.Options(), seed=seed, device=CPU) for seed in (1, 2)]
        batches = [torch.cat([t.flatten().double() for t in _tensors(p.batch(0))]) for p in parts]
        assert not torch.equal(*batches)
        with torch.no_grad():
            assert len({round(p.evaluate(parts[0].model.eval()), 12) for p in parts}) == 1

    def test_its_loss_at_the_start_is_that_of_knowing_nothing(self, name):
        workload = WORKLOADS[name]
        torch.manual_seed(0)
        parts = workload.declare(workload.Options(), seed=0, device=CPU)
        with torch.no_grad():
            start = parts.evaluate(parts.model.eval())
        expected = {"digits-mlp": math.log(10), "digits-cnn": math.log(10), "pydoc-charlm": math.log(97)}.get(name, 1.0)
        assert start == pytest.approx(expected, rel=0.1)


def _tensors(batch):
    return batch if isinstance(batch, tuple) else (batch,)


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path):
    workload = WORKLOADS["pydoc-charlm"]
    with pytest.raises(ValueError, match=r"options\.heads must be a divisor of the width, 32, got 5"):
        workload.declare(workload.Options.model_validate({"width": 32, "heads": 5}), seed=0, device=CPU)
