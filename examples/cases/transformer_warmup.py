"""Case: whether a transformer needs a warm-up, with its normalization after (2017) and before each block (since)."""

import string
from functools import lru_cache
from pydoc_data.topics import topics

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from tuner import Declaration, DeclaredWorkload, OptimizerKind, WorkloadOptions, step_generator

from grid import Grid, show

CONTEXT, WIDTH, HEADS, LAYERS, BATCH = 32, 32, 4, 8, 4
ALPHABET = string.printable


class Options(WorkloadOptions):
    norm_first: bool = Field(default=False, description="Normalize what a block reads, not what it adds to.")


class Part(nn.Module):
    """Attention or an MLP, added to what came in, which is normalized before or after."""

    def __init__(self, inner, *, norm_first):
        super().__init__()
        self.inner, self.norm, self.norm_first = inner, nn.LayerNorm(WIDTH, bias=False), norm_first

    def forward(self, x):
        return x + self.inner(self.norm(x)) if self.norm_first else self.norm(x + self.inner(x))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x):
        heads = self.qkv(x).view(-1, CONTEXT, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


def mlp():
    return nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH, bias=False))


class Characters(nn.Module):
    """A causal transformer on characters, with torch's own initialization."""

    def __init__(self, *, norm_first):
        super().__init__()
        self.tokens, self.places = nn.Embedding(len(ALPHABET) + 1, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        parts = [Part(inner(), norm_first=norm_first) for _ in range(LAYERS) for inner in (Attention, mlp)]
        self.parts = nn.Sequential(*parts, *([nn.LayerNorm(WIDTH, bias=False)] if norm_first else []))
        self.head = nn.Linear(WIDTH, len(ALPHABET) + 1, bias=False)

    def forward(self, codes):
        return self.head(self.parts(self.tokens(codes) + self.places.weight))


@lru_cache(maxsize=1)
def text():
    """The Python reference manual in blocks of 1,024 characters; every tenth block is held out."""
    whole = "\n".join(topics[name] for name in sorted(topics))
    codes = torch.tensor([ALPHABET.find(character) + 1 for character in whole])
    blocks = codes[: len(codes) // 1024 * 1024].view(-1, 1024)
    held_out = torch.arange(len(blocks)) % 10 == 0
    windows = blocks[held_out][:, : 31 * (CONTEXT + 1)].reshape(-1, CONTEXT + 1)
    return blocks[~held_out], windows[:: len(windows) // 64][:64]


def next_character(model, windows):
    return functional.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


class SmallTransformer(DeclaredWorkload):
    name = "small-transformer"
    version = "1"
    description = "A transformer of 8 layers on the characters of a manual; nats per character of held-out text."
    default_steps = 150
    optimizer = OptimizerKind.ADAM
    peak_lr = {OptimizerKind.ADAM: 2e-3}
    Options = Options

    def declare(self, options, *, seed, device):
        train, held_out = (part.to(device) for part in text())
        model = Characters(norm_first=options.norm_first).to(device)

        def batch(step):
            generator = step_generator(seed, "windows", step)
            rows = torch.randint(len(train), (BATCH, 1), generator=generator)
            starts = torch.randint(1024 - CONTEXT, (BATCH, 1), generator=generator)
            return train[rows, starts + torch.arange(CONTEXT + 1)]

        return Declaration(
            model=model,
            optimizer=torch.optim.Adam(model.parameters(), lr=1e-3, fused=True),
            batch=batch,
            loss=next_character,
            evaluate=lambda model: next_character(model, held_out).item(),
        )


def warmed_up(fraction):
    warmup = {"shape": "linear", "fraction": fraction} if fraction else {"shape": "none"}
    return {"family": {"name": "linear"}, "warmup": warmup}


SHAPES = {"no warm-up": warmed_up(0), "10 %": warmed_up(0.1), "30 %": warmed_up(0.3)}
GRIDS = [
    Grid("transformer_warmup", SmallTransformer(), SHAPES, (0.001, 0.002, 0.003, 0.004, 0.006), title="post-norm"),
    Grid(
        "transformer_pre_norm",
        SmallTransformer(),
        SHAPES,
        (0.004, 0.008, 0.016, 0.032),
        {"norm_first": True},
        title="pre-norm",
    ),
]

if __name__ == "__main__":
    today, other = (GRIDS[0].schedule(shape, 0.004) for shape in ("no warm-up", "30 %"))
    space = {"families": [{"name": "linear"}], "warmup": [0.0, 0.1, 0.3]}
    search = {"space": space, "start": [other.model_dump(mode="json")], "seed": 1}
    show(GRIDS, rival="no warm-up", job={"incumbent": today, "budget": 8, "search": search})
