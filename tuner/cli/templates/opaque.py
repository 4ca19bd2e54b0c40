"""A workload for the schedule tuner.

Check it: tuner workload check my_workload:MyWorkload
"""

import torch
from pydantic import Field
from sklearn.datasets import load_digits

from tuner import OpaqueWorkload, OptimizerKind, ShuffledBatches, WorkloadOptions


class MyOptions(WorkloadOptions):
    """The options of a job. Every option needs a default, a range and a description."""

    width: int = Field(default=64, ge=1, le=4096, description="Units of the hidden layer.")


def load_data(device):
    """Replace this: the training rows and the validation rows."""
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32, device=device), torch.tensor(y, device=device)
    return x[:1200], y[:1200], x[1200:], y[1200:]


def make_model(options):
    """Replace this."""
    return torch.nn.Sequential(torch.nn.Linear(64, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 10))


class MyWorkload(OpaqueWorkload):
    """Replace the data, the model and the loss by yours."""

    name = "my-workload"
    version = "1"  # change it when the same options, schedule and seed would give other numbers
    description = "Handwritten digits, an MLP; validation loss is the cross entropy of 597 held-out scans."
    default_steps = 500  # optimizer updates that train it to a sensible result
    optimizer = OptimizerKind.ADAM
    Options = MyOptions

    def train(self, run, options):
        """Your own loop: follow the schedule, report the metric."""
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
                run.report(step + 1, value=val_loss, train_loss=loss)
