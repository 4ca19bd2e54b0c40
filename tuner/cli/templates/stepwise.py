"""A workload for the schedule tuner.

Check it: tuner workload check my_workload:MyWorkload
"""

import torch
from pydantic import Field
from sklearn.datasets import load_digits

from tuner import GroupRates, OptimizerKind, ShuffledBatches, StepwiseWorkload, WorkloadOptions


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


class MyWorkload(StepwiseWorkload):
    """Replace the data, the model and the loss by yours."""

    name = "my-workload"
    version = "1"  # change it when the same options, schedule and seed would give other numbers
    description = "Handwritten digits, an MLP; validation loss is the cross entropy of 597 held-out scans."
    default_steps = 500  # optimizer updates that train it to a sensible result
    optimizer = OptimizerKind.ADAM
    Options = MyOptions

    def start(self, options, *, seed, device):
        """Build one training."""
        return MyTraining(options, seed=seed, device=device)


class MyTraining:
    """One training, update by update."""

    def __init__(self, options, *, seed, device):
        self.x, self.y, self.x_val, self.y_val = load_data(device)
        self.model = make_model(options).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1.0)
        self.rates = GroupRates(self.optimizer)  # keeps the ratios between parameter groups; takes a list as well
        self.rows = ShuffledBatches(len(self.x), batch_size=64, seed=seed, device=device)

    def train_step(self, step, lr):
        """Make one update at this learning rate; the batch depends on the seed and the step alone."""
        self.rates.set(lr)
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
        """Everything that the next update depends on."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        """Continue from the state that `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
