"""Train an MLP on handwritten digits, configured by Hydra: `python train_before.py optimizer.lr=1e-3`."""

import hydra
import torch
from hydra.utils import instantiate
from sklearn.datasets import load_digits
from torch.nn import functional


@torch.no_grad()
def evaluate(model, x, y):
    return functional.cross_entropy(model(x), y).item()


@hydra.main(version_base=None, config_path=".", config_name="config")
def main(config):
    torch.manual_seed(config.seed)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = instantiate(config.optimizer, params=model.parameters())
    scheduler = instantiate(config.scheduler, optimizer=optimizer)
    for step in range(config.total_steps):
        rows = torch.randint(1200, (config.batch_size,))
        loss = functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if (step + 1) % 25 == 0 or step + 1 == config.total_steps:
            val_loss = evaluate(model, x[1200:], y[1200:])
            print(f"update {step + 1}: val loss {val_loss:.4f}")


if __name__ == "__main__":
    main()
