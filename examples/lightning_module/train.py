"""Train an MLP on handwritten digits with Lightning."""

import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tuner.integrations.lightning import TunerCallback, optimizer_and_schedule, trainer_arguments
from tuner.sdk import run as tuner_run


class Digits(LightningModule):
    def __init__(self, run):
        super().__init__()
        self.run = run
        self.net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))

    def training_step(self, batch, index):
        return functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.log("val_loss", functional.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return optimizer_and_schedule(self.run, torch.optim.AdamW(self.parameters(), lr=1.0))


def main(run):
    torch.manual_seed(run.seed)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    order = torch.Generator().manual_seed(run.seed)
    train = DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=64, shuffle=True, generator=order)
    validation = DataLoader(TensorDataset(x[1200:], y[1200:]), batch_size=597)
    trainer = Trainer(
        **trainer_arguments(run, accumulate_grad_batches=2),
        callbacks=[TunerCallback(run)],
        accelerator="cpu" if run.device == "cpu" else "gpu",
        devices=1,
        default_root_dir=run.snapshot_dir,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Digits(run), train, validation)


if __name__ == "__main__":
    main(tuner_run(total_steps=300))
