"""What ``tuner workload new`` writes: one small training on real data per level, to be replaced part by part."""

from __future__ import annotations

_HEAD = '''\
"""A workload for the schedule tuner. Check it: tuner workload check {module}:MyWorkload"""

import torch
from pydantic import Field
from sklearn.datasets import load_digits

from tuner import {imports}


class MyOptions(WorkloadOptions):
    """What a job may choose. Every option needs a default, a range and a description."""

    width: int = Field(default=64, ge=1, le=4096, description="Units of the hidden layer.")


def load_data(device):
    """Replace this: the rows to train on, and those to validate on."""
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32, device=device), torch.tensor(y, device=device)
    return x[:1200], y[:1200], x[1200:], y[1200:]


def make_model(options):
    """Replace this."""
    return torch.nn.Sequential(torch.nn.Linear(64, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 10))


class MyWorkload({base}):
    """Replace the data, the model and the loss by yours."""

    name = "{name}"
    version = "1"  # change it when the same options, schedule and seed would give other numbers
    description = "Handwritten digits, an MLP; validation loss is the cross entropy of 597 held-out scans."
    default_steps = 500  # optimizer updates that train it to a sensible result
    optimizer = OptimizerKind.ADAM
    Options = MyOptions

'''

_IMPORTS = {
    "declared": "Declaration, DeclaredWorkload, OptimizerKind, ShuffledBatches, WorkloadOptions",
    "stepwise": "OptimizerKind, ShuffledBatches, StepwiseWorkload, WorkloadOptions",
    "opaque": "OpaqueWorkload, OptimizerKind, ShuffledBatches, WorkloadOptions",
}

_BASES = {"declared": "DeclaredWorkload", "stepwise": "StepwiseWorkload", "opaque": "OpaqueWorkload"}

_BODIES = {
    "declared": '''\
    def declare(self, options, *, seed, device):
        """Name the parts; the tuner owns the loop."""
        x, y, x_val, y_val = load_data(device)
        model = make_model(options).to(device)
        rows = ShuffledBatches(len(x), batch_size=64, seed=seed, device=device)
        cross_entropy = torch.nn.functional.cross_entropy
        return Declaration(
            model=model,
            optimizer=torch.optim.AdamW(model.parameters(), lr=1.0),  # the schedule sets the rate
            batch=rows.indices,
            loss=lambda model, batch: cross_entropy(model(x[batch]), y[batch]),
            evaluate=lambda model: cross_entropy(model(x_val), y_val).item(),
        )
''',
    "stepwise": '''\
    def start(self, options, *, seed, device):
        """Build one training."""
        return MyTraining(options, seed=seed, device=device)


class MyTraining:
    """One training that makes its own updates."""

    def __init__(self, options, *, seed, device):
        self.x, self.y, self.x_val, self.y_val = load_data(device)
        self.model = make_model(options).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1.0)  # train_step sets the rate
        self.rows = ShuffledBatches(len(self.x), batch_size=64, seed=seed, device=device)

    def train_step(self, step, lr):
        """Make one update at this learning rate; the batch depends on the seed and the step alone."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        batch = self.rows.indices(step)
        loss = torch.nn.functional.cross_entropy(self.model(self.x[batch]), self.y[batch])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def validate(self):
        """The validation loss; leaves the training as it was."""
        self.model.eval()
        with torch.no_grad():
            loss = torch.nn.functional.cross_entropy(self.model(self.x_val), self.y_val).item()
        self.model.train()
        return loss

    def state_dict(self):
        """All that the next update depends on."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
''',
    "opaque": '''\
    def train(self, run, options):
        """Your own loop: follow the schedule, report the validation loss."""
        x, y, x_val, y_val = load_data(run.device)
        model = make_model(options).to(run.device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)  # the schedule sets the rate
        scheduler = run.scheduler(optimizer)
        rows = ShuffledBatches(len(x), batch_size=64, seed=run.seed, device=torch.device(run.device))
        for step in range(run.total_steps):
            batch = rows.indices(step)
            loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()  # once per optimizer update
            if step + 1 in run.evaluate_at:
                with torch.no_grad():
                    val_loss = torch.nn.functional.cross_entropy(model(x_val), y_val)
                run.report(step + 1, val_loss=val_loss, train_loss=loss)
''',
}


def template(level: str, *, name: str) -> str:
    """The text of a Python file with a workload that keeps the contract as it stands.

    Args:
        level: ``"declared"``, ``"stepwise"`` or ``"opaque"``.
        name: The workload's name; the file's with hyphens.
    """
    head = _HEAD.format(module=name.replace("-", "_"), imports=_IMPORTS[level], base=_BASES[level], name=name)
    return head + _BODIES[level]
