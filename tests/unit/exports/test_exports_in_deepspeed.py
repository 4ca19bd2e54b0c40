"""The export to DeepSpeed in DeepSpeed, which `make test-exports` installs; skipped where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from tests.unit.exports.libraries import needed
from tests.unit.exports.test_export_claims import LINEAR, text
from tuner.exports import TargetRun
from tuner.schedules import Schedule, Wsd

SCHEDULE = Schedule(peak_lr=0.02, family=Wsd(cooldown=0.4), warmup=LINEAR, floor=0.1)


@pytest.mark.timeout(600)
def test_deepspeed_steps_the_client_scheduler_and_its_checkpoint_goes_on(tmp_path):
    needed("deepspeed")
    (tmp_path / "exported.py").write_text(text(SCHEDULE, "deepspeed", TargetRun(total_steps=40)))
    environment = os.environ | {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    environment |= {"MASTER_PORT": "29533", "DS_ACCELERATOR": "cpu", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", _DEEPSPEED], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    lrs = np.loadtxt(tmp_path / "lrs")
    np.testing.assert_allclose(lrs, np.outer(SCHEDULE.lrs(40), [1, 0.05]), rtol=1e-9)


_DEEPSPEED = """
import deepspeed, torch
from exported import PEAK_LR, make_scheduler

def engine():
    model = torch.nn.Linear(2, 1)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.05 * PEAK_LR}]
    optimizer = torch.optim.SGD(groups, lr=PEAK_LR)
    config = {"train_batch_size": 4, "gradient_accumulation_steps": 2, "train_micro_batch_size_per_gpu": 2}
    return deepspeed.initialize(model=model, optimizer=optimizer, lr_scheduler=make_scheduler, config=config)[0]

lrs = []
def train(engine, updates):
    for batch in range(2 * updates):
        if batch % 2 == 0:
            lrs.append([group["lr"] for group in engine.optimizer.param_groups])
        engine.backward(engine(torch.randn(2, 2)).pow(2).mean())
        engine.step()

first = engine()
train(first, 17)
first.save_checkpoint("checkpoint")
second = engine()
second.load_checkpoint("checkpoint")
train(second, 23)
open("lrs", "w").write("\\n".join(" ".join(map(repr, each)) for each in lrs))
"""


def test_deepspeeds_own_schedulers_train_the_first_two_updates_alike():
    needed("deepspeed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from deepspeed.runtime.lr_schedules import WarmupCosineLR, WarmupDecayLR, WarmupLR

    for build in (
        lambda optimizer: WarmupLR(optimizer, warmup_num_steps=20, warmup_type="linear", warmup_max_lr=0.02),
        lambda optimizer: WarmupDecayLR(optimizer, 200, warmup_num_steps=20, warmup_type="linear", warmup_max_lr=0.02),
        lambda optimizer: WarmupCosineLR(optimizer, 200, warmup_num_steps=20, warmup_type="linear"),
    ):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.02)
        scheduler = build(optimizer)
        lrs = []
        for _ in range(3):
            lrs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        assert lrs[0] == lrs[1] < lrs[2]
