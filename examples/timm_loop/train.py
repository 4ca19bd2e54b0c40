"""Train an MLP on handwritten digits in the shape of timm's train.py, with a scheduler of timm."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from tuner.integrations.timm import RunScheduler
from tuner.sdk import run as tuner_run


def train_one_epoch(epoch, model, loader, optimizer, lr_scheduler):
    model.train()
    num_updates = epoch * len(loader)
    for inputs, target in loader:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), target)
        loss.backward()
        optimizer.step()
        num_updates += 1
        lr_scheduler.step_update(num_updates=num_updates, metric=loss.item())


@torch.no_grad()
def validate(model, loader):
    model.eval()
    losses = [functional.cross_entropy(model(inputs), target, reduction="sum") for inputs, target in loader]
    return sum(losses).item() / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--warmup-epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    loader_train = DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=64, shuffle=True)
    loader_eval = DataLoader(TensorDataset(x[1200:], y[1200:]), batch_size=597)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    run = tuner_run(total_steps=args.epochs * len(loader_train))
    lr_scheduler = RunScheduler(run, optimizer)
    for epoch, steps, loader_train in run.epochs_over(loader_train):
        train_one_epoch(epoch, model, loader_train, optimizer, lr_scheduler)
        val_loss = validate(model, loader_eval)
        lr_scheduler.step(epoch + 1, val_loss)
        run.report(steps.stop, value=val_loss)
        print(f"epoch {epoch}: val loss {val_loss:.4f}")


if __name__ == "__main__":
    main()
