"""Accelerate: one step of the schedule per update, however many micro-batches and processes there are."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import Any

import pytest
import torch

from tuner.training.checks.recording import recorded_optimizers
from tuner.training.protocol import Outcome

pytest.importorskip("accelerate", reason="pip install 'schedule-tuner[accelerate]'")
from accelerate import Accelerator

from tuner.integrations.accelerate import report, update_scheduler

# What each of two processes runs: a prepared loop of 6 updates over 12 micro-batches, and what it saw.
PROGRAM = """
import json, sys, torch
from accelerate import Accelerator
from tuner.integrations.accelerate import report, update_scheduler
from tuner.sdk import run as tuner_run

run = tuner_run(total_steps=6)
accelerator = Accelerator(gradient_accumulation_steps=2, cpu=True)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
model, optimizer = accelerator.prepare(model, optimizer)
scheduler = accelerator.prepare(update_scheduler(run, optimizer, accelerator=accelerator))
lrs = []
for _ in range(12):
    with accelerator.accumulate(model):
        accelerator.backward(model(torch.ones(4, 2)).sum())
        if accelerator.sync_gradients:
            lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
report(run, 6, value=1.0 + 2 * accelerator.process_index, accelerator=accelerator)
result = {"lrs": lrs, "expected": run.lrs.tolist(), "losses": [one.value for one in run.reports],
        "processes": accelerator.num_processes}
open(sys.argv[1] + str(accelerator.process_index), "w").write(json.dumps(result))
accelerator.end_training()
"""


def training(run):
    accelerator = Accelerator(gradient_accumulation_steps=3, cpu=True)
    torch.manual_seed(run.seed)
    model = torch.nn.Linear(2, 1)
    groups: list[dict[str, Any]] = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.5}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    scheduler = update_scheduler(run, optimizer, accelerator=accelerator)
    model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)  # by mistake: nothing comes of it
    updates = 0
    while updates < run.total_steps:
        with accelerator.accumulate(model):
            accelerator.backward((model(torch.ones(4, 2)) ** 2).mean())
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            updates += 1
            if updates in run.evaluate_at:
                report(run, updates, value=model.weight.detach().pow(2).sum(), accelerator=accelerator)


def test_the_schedule_steps_once_per_update_and_not_per_micro_batch(executed):
    with recorded_optimizers() as record:
        ended = executed(training)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert [lrs[0] for lrs in record.lrs[0]] == executed.lrs
    assert [lrs[1] for lrs in record.lrs[0]] == pytest.approx([lr / 2 for lr in executed.lrs], rel=1e-12)
    assert executed.steps == [10, 20]


def test_two_processes_follow_the_schedule_as_one_and_the_first_reports_their_mean(tmp_path):
    program = tmp_path / "train.py"
    program.write_text(PROGRAM)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(program), str(tmp_path / "result-")],
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
    assert first["processes"] == 2
    assert first["lrs"] == second["lrs"] == first["expected"]
    assert (first["losses"], second["losses"]) == ([2.0], [])


def test_two_optimizers_have_one_schedule_and_keep_their_ratio(executed):
    def train(run):
        accelerator = Accelerator(gradient_accumulation_steps=3, cpu=True)
        nets = [torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)]
        muon = torch.optim.Muon([nets[0].weight], lr=0.02)
        adam = torch.optim.AdamW(nets[1].parameters(), lr=3e-4)
        prepared = accelerator.prepare(*nets, muon, adam)
        scheduler = update_scheduler(run, *prepared[2:], accelerator=accelerator)
        for _ in range(3 * run.total_steps):
            with accelerator.accumulate(*prepared[:2]):
                accelerator.backward(sum(net(torch.ones(4, 2)).pow(2).mean() for net in prepared[:2]))
                for optimizer in prepared[2:]:
                    optimizer.step()
                scheduler.step()
                for optimizer in prepared[2:]:
                    optimizer.zero_grad()
        report(run, run.total_steps, value=1.0, accelerator=accelerator)

    with recorded_optimizers() as record:
        ended = executed(train)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert [lrs[0] for lrs in record.lrs[0]] == executed.lrs
    assert [lrs[0] for lrs in record.lrs[1]] == pytest.approx([0.015 * lr for lr in executed.lrs], rel=1e-12)
