"""Case: logistic regression on a table, where a fixed rate is enough."""

from functools import lru_cache

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.nn import functional
from tuner import Declaration, DeclaredWorkload, OptimizerKind, ShuffledBatches

from grid import Grid, show


@lru_cache(maxsize=1)
def table():
    """30 measures of cell nuclei of 569 patients, standardized, and the diagnosis: 300 to train with, 269 held out."""
    x, y = load_breast_cancer(return_X_y=True)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    x, y = torch.tensor(x, dtype=torch.float32)[order], torch.tensor(y, dtype=torch.float32)[order]
    return (x - x[:300].mean(0)) / x[:300].std(0), y


class LogisticRegression(DeclaredWorkload):
    name = "logistic-regression"
    version = "1"
    description = "Diagnoses from 30 measures, by logistic regression; cross entropy of 269 held-out patients."
    default_steps = 600  # 32 epochs
    optimizer = OptimizerKind.SGD
    peak_lr = {OptimizerKind.SGD: 0.01}

    def declare(self, options, *, seed, device):
        x, y = (part.to(device) for part in table())
        model = nn.Linear(30, 1).to(device)
        rows = ShuffledBatches(300, batch_size=16, seed=seed, device=device)

        def loss(model, chosen):
            return functional.binary_cross_entropy_with_logits(model(x[chosen]).squeeze(1), y[chosen])

        return Declaration(
            model=model,
            optimizer=torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-2),
            batch=rows.indices,
            loss=loss,
            evaluate=lambda model: loss(model, slice(300, None)).item(),
        )


GRID = Grid(
    name="logistic_regression",
    workload=LogisticRegression(),
    shapes={
        "fixed rate": {"family": {"name": "constant"}},
        "step decay": {"family": {"name": "step", "gamma": 0.1, "every": 1 / 3}},
        "cosine": {"family": {"name": "cosine"}},
    },
    peaks=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
)

if __name__ == "__main__":
    today = GRID.schedule("fixed rate", 0.01)
    show([GRID], rival="fixed rate", job={"incumbent": today, "budget": 12, "search": {"least_gain": 0.005, "seed": 1}})
