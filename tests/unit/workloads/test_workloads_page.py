from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import nn

from tuner.schedules import Schedule
from tuner.training.protocol import Outcome, Train, Verdict
from tuner.training.runner.execute import execute
from tuner.workloads import builtin_workloads

PAGE = (Path(__file__).parents[3] / "docs" / "workloads.md").read_text()


def test_the_page_lists_the_built_in_workloads():
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, flags=re.MULTILINE)) == set(builtin_workloads())


def test_the_example_of_the_page_trains(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    code = next(block for block in blocks if "class MyWorkload(" in block)
    x = torch.linspace(-1, 1, 256)[:, None]
    names = {
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
        on_evaluation=lambda message: points.append(message.point) or Verdict(),
        on_snapshot=lambda message: None,
    )
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert ended.loss < points[0].val_loss / 2
