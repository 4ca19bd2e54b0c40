"""Train a small GPT on the Python reference manual, in the shape of nanoGPT's train.py."""

import functools
import math
from pydoc_data.topics import topics

import torch
from torch.nn import functional
from tuner.sdk import run as tuner_run

# -----------------------------------------------------------------------------
max_iters, eval_interval = 400, 20
batch_size, block_size = 16, 32
n_layer, n_head, n_embd = 2, 2, 32
learning_rate, min_lr, warmup_iters = 1e-3, 1e-4, 20
seed = 1337
device = "cuda" if torch.cuda.is_available() else "cpu"
# -----------------------------------------------------------------------------


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(n_embd), torch.nn.LayerNorm(n_embd)
        self.qkv, self.proj = torch.nn.Linear(n_embd, 3 * n_embd), torch.nn.Linear(n_embd, n_embd)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(n_embd, 4 * n_embd), torch.nn.GELU(), torch.nn.Linear(4 * n_embd, n_embd)
        )

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(batch, length, 3, n_head, -1).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(batch, length, n_embd))
        return x + self.mlp(self.ln_2(x))


class GPT(torch.nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.wte = torch.nn.Embedding(vocab_size, n_embd)
        self.wpe = torch.nn.Parameter(torch.randn(block_size, n_embd) * 0.02)
        self.blocks = torch.nn.Sequential(*(Block() for _ in range(n_layer)))
        self.ln_f, self.head = torch.nn.LayerNorm(n_embd), torch.nn.Linear(n_embd, vocab_size)

    def forward(self, idx, targets):
        logits = self.head(self.ln_f(self.blocks(self.wte(idx) + self.wpe)))
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def get_lr(it):
    if it < warmup_iters:
        return learning_rate * (it + 1) / warmup_iters
    ratio = (it - warmup_iters) / (max_iters - warmup_iters)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (learning_rate - min_lr)


@functools.cache
def load_text():
    text = "\n".join(topics[key] for key in sorted(topics))
    codes = {character: code for code, character in enumerate(sorted(set(text)))}
    data = torch.tensor([codes[character] for character in text])
    return data[: int(0.9 * len(data))], data[int(0.9 * len(data)) :], len(codes)


def get_batch(data, generator):
    ix = torch.randint(len(data) - block_size - 1, (batch_size,), generator=generator)
    x = torch.stack([data[i : i + block_size] for i in ix])
    y = torch.stack([data[i + 1 : i + 1 + block_size] for i in ix])
    return x.to(device), y.to(device)


@torch.no_grad()
def estimate_loss(model, data):
    model.eval()
    generator = torch.Generator().manual_seed(0)
    losses = [model(*get_batch(data, generator)).item() for _ in range(4)]
    model.train()
    return sum(losses) / len(losses)


def main(run):
    max_iters, seed = run.total_steps, run.seed
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    train_data, val_data, vocab_size = load_text()
    model = GPT(vocab_size).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.1)
    for it in range(max_iters):
        lr = run.lr(it)
        for param_group in optimizer.param_groups:
            param_group["lr"] = lr
        loss = model(*get_batch(train_data, generator))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (it + 1) % eval_interval == 0 or it + 1 == max_iters:
            val_loss = estimate_loss(model, val_data)
            run.report(it + 1, value=val_loss)
            print(f"iter {it + 1}: lr {lr:.2e}, train loss {loss.item():.4f}, val loss {val_loss:.4f}")


if __name__ == "__main__":
    main(tuner_run(total_steps=max_iters))
