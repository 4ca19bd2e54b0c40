"""Train an MLP on handwritten digits with Accelerate, accumulating gradients."""

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from tuner.integrations.accelerate import report, update_scheduler
from tuner.sdk import run as tuner_run


def main(run):
    accelerator = Accelerator(gradient_accumulation_steps=2, cpu=run.device == "cpu")
    torch.manual_seed(run.seed)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    order = torch.Generator().manual_seed(run.seed)
    loader = DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=32, shuffle=True, generator=order)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)  # the schedule sets the rate
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    scheduler = update_scheduler(run, optimizer, accelerator=accelerator)
    x_val, y_val = x[1200:].to(accelerator.device), y[1200:].to(accelerator.device)
    updates = 0
    while updates < run.total_steps:
        for inputs, targets in loader:
            with accelerator.accumulate(model):
                loss = functional.cross_entropy(model(inputs), targets)
                accelerator.backward(loss)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            if not accelerator.sync_gradients:
                continue
            updates += 1
            if updates in run.evaluate_at:
                with torch.no_grad():
                    val_loss = functional.cross_entropy(model(x_val), y_val)
                report(run, updates, value=val_loss, accelerator=accelerator)
            if updates == run.total_steps:
                break


if __name__ == "__main__":
    main(tuner_run(total_steps=300))
