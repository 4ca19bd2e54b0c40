"""timm: its scheduler interface, called as its train.py does, and groups with a layer decay."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from tests.unit.exports.drivers import timm_schedulers
from tuner.training.checks.recording import recorded_optimizers
from tuner.training.protocol import Outcome

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        find_spec("timm") is None, reason="NOT TESTED HERE: timm is not installed; `make examples` installs it"
    ),
]
UPDATES_PER_EPOCH = 8


def timm_loop(run, *, done=0, groups=None):
    """The calls of timm's train.py: per update with the updates done, per epoch with the epoch."""
    timm_schedulers()
    from tuner.integrations.timm import RunScheduler

    torch.manual_seed(run.seed)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(groups(model) if groups else model.parameters(), lr=0.5)
    lr_scheduler = RunScheduler(run, optimizer)
    if done:
        lr_scheduler.step_update(done)
    num_updates = done
    for epoch in range(done // UPDATES_PER_EPOCH, -(-run.total_steps // UPDATES_PER_EPOCH)):
        for _ in range(UPDATES_PER_EPOCH):
            optimizer.zero_grad()
            loss = (model(torch.ones(4, 2)) ** 2).mean()
            loss.backward()
            optimizer.step()
            num_updates += 1
            lr_scheduler.step_update(num_updates=num_updates, metric=loss.item())
            if num_updates == run.total_steps:
                break
        run.report(num_updates, value=loss.item())
        lr_scheduler.step(epoch + 1, loss.item())


@pytest.mark.parametrize("done", [0, 8])
def test_every_update_has_the_rate_of_the_schedule_also_after_a_resume(executed, done):
    with recorded_optimizers() as record:
        ended = executed(lambda run: timm_loop(run, done=done))
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert [lrs[0] for lrs in record.lrs[0]] == executed.lrs[done:]


def test_groups_keep_their_ratio_and_their_layer_decay(executed):
    def groups(model):
        return [{"params": [model.weight], "lr_scale": 0.5}, {"params": [model.bias], "lr": 0.25}]

    with recorded_optimizers() as record:
        ended = executed(lambda run: timm_loop(run, groups=groups))
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert [lrs[0] for lrs in record.lrs[0]] == executed.lrs
    assert [lrs[1] for lrs in record.lrs[0]] == executed.lrs
