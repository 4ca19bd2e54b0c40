"""Train an MLP on handwritten digits with Lightning on two processes (DDP)."""

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from tuner.integrations.lightning import TunerCallback
from tuner.sdk import run as tuner_run

max_steps, batch_size, learning_rate, seed = 300, 32, 3e-3, 42


class Digits(LightningModule):
    def __init__(self, scheduler):
        super().__init__()
        self.scheduler = scheduler
        self.net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))

    def training_step(self, batch, index):
        return functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.log("val_loss", functional.cross_entropy(self.net(batch[0]), batch[1]), prog_bar=True, sync_dist=True)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=learning_rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"}}


def one_cycle(optimizer):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=max_steps)


def main():
    run = tuner_run(total_steps=300)
    max_steps, seed = run.total_steps, run.seed
    seed_everything(seed)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    train = DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=batch_size, shuffle=True)
    validation = DataLoader(TensorDataset(x[1200:], y[1200:]), batch_size=299)
    trainer = Trainer(
        max_steps=max_steps,
        callbacks=[TunerCallback(run)],
        strategy="ddp",
        accelerator="cpu",
        devices=2,
        logger=False,
        enable_checkpointing=False,
    )
    trainer.fit(Digits(scheduler=run.scheduler), train, validation)


if __name__ == "__main__":
    main()
