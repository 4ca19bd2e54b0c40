"""Case: step decay against a fixed rate, for a small residual network on images, by accuracy."""

from functools import lru_cache

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from tuner import Declaration, DeclaredWorkload, Metric, OptimizerKind, ShuffledBatches, step_generator

from grid import Grid, show


class Block(nn.Module):
    """Two convolutions with batch norm, added to what came in."""

    def __init__(self, inputs, outputs, *, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        return functional.relu(self.shortcut(x) + self.body(x))


def residual_network(width=8):
    stem = nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10)
    return nn.Sequential(*stem, Block(width, width), Block(width, 2 * width, stride=2), *head)


@lru_cache(maxsize=1)
def scans():
    """1,797 scans of handwritten digits, scaled: 900 to train with, 897 held out."""
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    return torch.tensor(x / 8 - 1, dtype=torch.float32)[order].view(-1, 1, 8, 8), torch.tensor(y)[order]


class ResidualDigits(DeclaredWorkload):
    name = "residual-digits"
    version = "1"
    description = "Handwritten digits by a residual network of 5 convolutions; accuracy on 897 held-out scans."
    metric = Metric(name="accuracy", direction="maximize", unit="%")
    default_steps = 840  # 30 epochs
    optimizer = OptimizerKind.SGD
    peak_lr = {OptimizerKind.SGD: 0.1}

    def declare(self, options, *, seed, device):
        x, y = (part.to(device) for part in scans())
        model = residual_network().to(device)
        rows = ShuffledBatches(900, batch_size=32, seed=seed, device=device)

        def batch(step):
            chosen = rows.indices(step)
            shift = torch.randint(-1, 2, (2,), generator=step_generator(seed, "shift", step)).tolist()
            return x[chosen].roll(shift, dims=(2, 3)), y[chosen]

        return Declaration(
            model=model,
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4),
            batch=batch,
            loss=lambda model, batch: functional.cross_entropy(model(batch[0]), batch[1]),
            evaluate=lambda model: 100 * (model(x[900:]).argmax(1) == y[900:]).float().mean().item(),
        )


GRID = Grid(
    name="step_decay",
    workload=ResidualDigits(),
    shapes={
        "fixed rate": {"family": {"name": "constant"}},
        "step decay": {"family": {"name": "step", "gamma": 0.1, "every": 1 / 3}},
        "cosine": {"family": {"name": "cosine"}},
    },
    peaks=(0.01, 0.03, 0.1, 0.3),
)

if __name__ == "__main__":
    show(
        [GRID],
        rival="fixed rate",
        job={"incumbent": GRID.schedule("fixed rate", 0.03), "budget": 20, "search": {"seed": 1}},
    )
