"""Train an MLP on handwritten digits in mixed precision, with a GradScaler and gradient accumulation."""

import torch
from sklearn.datasets import load_digits
from torch.nn import functional

max_steps, batch_size, accumulation, learning_rate, seed = 300, 16, 4, 3e-3, 42
device = "cuda" if torch.cuda.is_available() else "cpu"
precision = torch.float16 if device == "cuda" else torch.bfloat16


@torch.no_grad()
def evaluate(model, x, y):
    return functional.cross_entropy(model(x), y).item()


def main():
    torch.manual_seed(seed)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32, device=device), torch.tensor(y, device=device)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max_steps)
    scaler = torch.amp.GradScaler(device, init_scale=2.0**16)
    for step in range(max_steps):
        for _ in range(accumulation):
            rows = torch.randint(1200, (batch_size,), device=device)
            with torch.autocast(device, dtype=precision):
                loss = functional.cross_entropy(model(x[rows]), y[rows]) / accumulation
            scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        optimizer.zero_grad()
        if (step + 1) % 25 == 0 or step + 1 == max_steps:
            val_loss = evaluate(model, x[1200:], y[1200:])
            print(f"update {step + 1}: val loss {val_loss:.4f}")


if __name__ == "__main__":
    main()
