from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from tuner.schedules import Schedule
from tuner.sdk import run as script_run
from tuner.training.protocol import Directive, Outcome, Train
from tuner.training.runner.execute import execute
from tuner.workloads import builtin_workloads

PAGE = (Path(__file__).parents[3] / "docs" / "workloads.md").read_text()


def test_the_page_lists_the_built_in_workloads():
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, flags=re.MULTILINE)) == set(builtin_workloads())


def block_with(text: str) -> str:
    return next(block for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if text in block)


def test_the_script_of_the_page_reports_and_becomes_a_workload(monkeypatch):
    train: Any = ModuleType("train")
    train.model = nn.Linear(1, 1)
    train.optimizer = torch.optim.SGD(train.model.parameters(), lr=1.0)
    train.validate = lambda model: 0.5
    code = re.sub(r"\.\.\. +# forward, backward, optimizer", "optimizer", block_with("# train.py"))
    exec(compile(code, "train.py", "exec"), vars(train))
    monkeypatch.setitem(sys.modules, "train", train)
    tuning: dict = {}
    exec(compile(block_with("# tuning.py"), "tuning.py", "exec"), tuning)
    run = script_run(total_steps=40)
    tuning["Finetune"]().train(run, None)
    assert [report.step for report in run.reports] == list(run.evaluate_at)


def test_the_example_of_the_page_trains(tmp_path):
    code = block_with("class MyWorkload(")
    x = torch.linspace(-1, 1, 256)[:, None]
    names: dict[str, Any] = {
        "load_my_data": lambda device: (x, x**2, x[::3], x[::3] ** 2),
        "make_my_model": lambda width: nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1)),
    }
    exec(compile(code, "docs/workloads.md", "exec"), names)
    request = Train(
        run_id="run",
        workload="my-workload",
        options={"width": 16},
        schedule=Schedule.model_validate({"peak_lr": 0.01, "family": {"name": "linear"}}),
        total_steps=100,
        seed=0,
        snapshot_dir=str(tmp_path),
        snapshot_seconds=60.0,
    )
    points = []
    ended = execute(
        request,
        workloads={"my-workload": names["MyWorkload"]()},
        device="cpu",
        on_evaluation=lambda message: points.append(message.point) or Directive(),
        on_snapshot=lambda message: None,
    )
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert ended.loss < points[0].val_loss / 2
