"""A schedule that follows the loss under the training libraries: their evaluations change the rates of what follows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from tuner.schedules import ReduceOnPlateau, Schedule, Warmup
from tuner.training.checks.recording import recorded_optimizers
from tuner.training.protocol import Outcome

FOLLOWS = Schedule(
    peak_lr=0.01,
    family=ReduceOnPlateau(factor=0.5, patience=0, threshold=100.0, threshold_mode="absolute"),
    warmup=Warmup(shape="linear", updates=3),
)
STEPS = 60


def check(executed: Any, body: Callable[[Any], None]) -> None:
    executed.schedule = FOLLOWS
    with recorded_optimizers() as record:
        ended = executed(body, total_steps=STEPS)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    losses = [(point.step, point.val_loss) for point in executed.points]
    assert [lrs[0] for lrs in record.lrs[0]] == FOLLOWS.lrs(STEPS, losses=losses).tolist()
    assert record.lrs[0][-1][0] < FOLLOWS.peak_lr / 4
    assert executed.steps == [10, 20, 30, 40, 50, 60]


def test_accelerate(executed: Any):
    pytest.importorskip("accelerate", reason="pip install 'schedule-tuner[accelerate]'")
    from tests.integration.integrations.test_accelerate import training

    check(executed, training)


def test_the_trainer_of_hugging_face(executed: Any):
    pytest.importorskip("accelerate", reason="the Trainer needs accelerate")
    from tests.integration.integrations.test_huggingface import training

    check(executed, training)


@pytest.mark.filterwarnings("ignore")
def test_lightning(executed: Any):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("lightning.pytorch", reason="NOT TESTED HERE: `make examples` installs and tests it")
        from tests.integration.integrations.test_lightning import training

    check(executed, training)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(find_spec("timm") is None, reason="NOT TESTED HERE: `make examples` installs and tests it")
def test_timm(executed: Any):
    from tests.integration.integrations.test_timm import timm_loop

    executed.schedule = FOLLOWS
    with recorded_optimizers() as record:
        ended = executed(timm_loop, total_steps=STEPS)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    losses = [(point.step, point.val_loss) for point in executed.points]
    assert [lrs[0] for lrs in record.lrs[0]] == FOLLOWS.lrs(STEPS, losses=losses).tolist()
    assert record.lrs[0][-1][0] < FOLLOWS.peak_lr / 4


PROGRAM = f"""
import json, sys, torch
from accelerate import Accelerator
from tuner.integrations.accelerate import report, update_scheduler
from tuner.schedules import Schedule
from tuner.sdk import run as tuner_run

run = tuner_run(total_steps={STEPS}, schedule=Schedule.from_json({FOLLOWS.to_json()!r}))
accelerator = Accelerator(cpu=True)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
model, optimizer = accelerator.prepare(model, optimizer)
scheduler = update_scheduler(run, optimizer, accelerator=accelerator)
lrs = []
for step in range(run.total_steps):
    accelerator.backward(model(torch.ones(4, 2)).sum())
    lrs.append(optimizer.param_groups[0]["lr"])
    optimizer.step()
    scheduler.step()
    optimizer.zero_grad()
    if step + 1 in run.evaluate_at:
        report(run, step + 1, value=1.0 + 2 * accelerator.process_index, accelerator=accelerator)
result = {{"lrs": lrs, "losses": [[one.step, one.value] for one in run.reports]}}
open(sys.argv[1] + str(accelerator.process_index), "w").write(json.dumps(result))
accelerator.end_training()
"""


def test_two_processes_follow_the_loss_together(tmp_path):
    pytest.importorskip("accelerate", reason="pip install 'schedule-tuner[accelerate]'")
    (tmp_path / "train.py").write_text(PROGRAM)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(tmp_path / "train.py"), str(tmp_path / "result-")],
            env={**os.environ, **together, "RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = [process.communicate(timeout=100)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], errors
    first, second = (json.loads((tmp_path / f"result-{index}").read_text()) for index in range(2))
    losses = [(step, loss) for step, loss in first["losses"]]
    assert losses == [(step, 2.0) for step in (10, 20, 30, 40, 50, 60)]
    assert first["lrs"] == second["lrs"] == FOLLOWS.lrs(STEPS, losses=losses).tolist()
