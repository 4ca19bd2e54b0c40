"""Train an MLP on handwritten digits with two optimizers: Muon for the matrices, AdamW for the biases."""

import torch
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

max_steps, batch_size, seed = 300, 64, 42


@torch.no_grad()
def evaluate(model, x, y):
    return functional.cross_entropy(model(x), y).item()


def main():
    torch.manual_seed(seed)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    biases = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    muon = torch.optim.Muon(matrices, lr=2e-2)
    adam = torch.optim.AdamW(biases, lr=3e-3)
    schedulers = [CosineAnnealingLR(optimizer, T_max=max_steps) for optimizer in (muon, adam)]
    for step in range(max_steps):
        rows = torch.randint(1200, (batch_size,))
        loss = functional.cross_entropy(model(x[rows]), y[rows])
        model.zero_grad()
        loss.backward()
        for each in (muon, adam, *schedulers):
            each.step()
        if (step + 1) % 25 == 0 or step + 1 == max_steps:
            val_loss = evaluate(model, x[1200:], y[1200:])
            print(f"update {step + 1}: val loss {val_loss:.4f}")


if __name__ == "__main__":
    main()
