"""Train an MLP on handwritten digits on several processes: `torchrun --nproc-per-node=2 train_before.py`."""

import argparse

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


@torch.no_grad()
def evaluate(model, x, y):
    """The loss over all processes, each of which has its share of the rows."""
    rows = range(dist.get_rank(), len(x), dist.get_world_size())
    loss = functional.cross_entropy(model(x[rows]), y[rows], reduction="sum")
    dist.all_reduce(loss)
    return loss.item() / len(x)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    dist.init_process_group("gloo")
    torch.manual_seed(args.seed)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    data = TensorDataset(x[:1200], y[:1200])
    sampler = DistributedSampler(data, seed=args.seed)
    train_loader = DataLoader(data, batch_size=32, sampler=sampler)
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    model = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    total_steps = args.epochs * len(train_loader)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=total_steps)
    for epoch in range(args.epochs):
        sampler.set_epoch(epoch)
        for data, target in train_loader:
            optimizer.zero_grad()
            functional.cross_entropy(model(data), target).backward()
            optimizer.step()
            scheduler.step()
        val_loss = evaluate(net, x[1200:], y[1200:])
        if dist.get_rank() == 0:
            print(f"epoch {epoch}: val loss {val_loss:.4f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
