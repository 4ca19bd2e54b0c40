"""A character-level language model of the Python reference manual: the text that `help()` shows, 465,000 characters."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pydoc_data.topics import topics
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tuner.errors import InvalidValue
from tuner.search.space import OptimizerKind
from tuner.training.data import step_generator
from tuner.training.workload import Declaration, DeclaredWorkload, WorkloadOptions
from tuner.workloads.optimizers import OptimizerOptions, build_optimizer

ALPHABET = "\n" + string.printable[:95]  # newline, then the 95 visible ASCII characters
OTHER = len(ALPHABET)  # code of all other characters, a few dozen in the whole text
VOCABULARY = len(ALPHABET) + 1
BLOCK = 1024  # characters; windows are shorter and lie within one block
HELD_OUT_EVERY = 10
VALIDATION_WINDOWS = 64


class CharLmOptions(OptimizerOptions):
    """Options of the language model."""

    optimizer: OptimizerKind = Field(
        default=OptimizerKind.ADAM, description="adam: AdamW. sgd: SGD with Nesterov momentum."
    )
    batch_size: int = Field(default=4, ge=1, le=1024, description="Windows of text per update.")
    context: int = Field(default=32, ge=2, le=BLOCK - 1, description="Characters per window.")
    width: int = Field(default=32, ge=8, le=1024, multiple_of=8, description="Features per character.")
    layers: int = Field(default=1, ge=1, le=24, description="Transformer blocks.")
    heads: int = Field(default=4, ge=1, le=16, description="Attention heads; must divide the width.")


@dataclass(frozen=True, kw_only=True)
class Text:
    """The text as character codes on one device, cut into blocks, of which every tenth is held out."""

    train: Tensor
    """int64 of shape ``(blocks, BLOCK)``."""
    validation: Tensor


@lru_cache(maxsize=4)
def manual_text(device: torch.device) -> Text:
    """The manual's topics in alphabetical order, on ``device``."""
    codes = {character: code for code, character in enumerate(ALPHABET)}
    text = "\n".join(topics[name] for name in sorted(topics))
    encoded = torch.tensor([codes.get(character, OTHER) for character in text])
    blocks = encoded[: len(encoded) // BLOCK * BLOCK].view(-1, BLOCK)
    held_out = torch.arange(len(blocks)) % HELD_OUT_EVERY == 0
    return Text(train=blocks[~held_out].to(device), validation=blocks[held_out].to(device))


class Block(nn.Module):
    """Pre-norm causal attention and an MLP, each added to the residual stream."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, context, width)`` -> the same shape."""
        batch, context, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, context, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, context, width / heads)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attention_out(mixed.transpose(1, 2).reshape(batch, context, width))
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class CharTransformer(nn.Module):
    """Character and position embeddings, blocks, and a head that shares no weights with the embedding."""

    def __init__(self, options: CharLmOptions) -> None:
        super().__init__()
        self.characters = nn.Embedding(VOCABULARY, options.width)
        self.positions = nn.Embedding(options.context, options.width)
        self.blocks = nn.Sequential(*(Block(options.width, heads=options.heads) for _ in range(options.layers)))
        self.norm = nn.LayerNorm(options.width)
        self.head = nn.Linear(options.width, VOCABULARY, bias=False)
        nn.init.zeros_(self.head.weight)  # the first loss is log(VOCABULARY) exactly

    def forward(self, codes: Tensor) -> Tensor:
        """``(batch, context)`` int64 -> logits of the next character, ``(batch, context, VOCABULARY)``."""
        positions = torch.arange(codes.shape[1], device=codes.device)
        x = self.characters(codes) + self.positions(positions)
        logits: Tensor = self.head(self.norm(self.blocks(x)))
        return logits


def _next_character_loss(model: nn.Module, windows: Tensor) -> Tensor:
    """Mean cross entropy in nats per character; ``windows`` is int64 of shape ``(batch, context + 1)``."""
    logits = model(windows[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def _evenly_spread_windows(blocks: Tensor, *, length: int) -> Tensor:
    """`VALIDATION_WINDOWS` windows spread evenly over the blocks: int64 ``(windows, length)``."""
    per_block = max(1, BLOCK // length)
    windows = blocks[:, : per_block * length].reshape(-1, length)
    chosen = torch.linspace(0, len(windows) - 1, VALIDATION_WINDOWS, device=blocks.device).long()
    return windows[chosen]


class PydocCharLm(DeclaredWorkload):
    """A small transformer."""

    name: ClassVar[str] = "pydoc-charlm"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = (
        "Character-level language model of the Python reference manual, a small transformer; "
        "cross entropy on held-out text, in nats per character."
    )
    default_steps: ClassVar[int] = 3000
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.ADAM
    optimizer_option: ClassVar[str | None] = "optimizer"
    peak_lr: ClassVar[Mapping[OptimizerKind, tuple[float, float]]] = {
        OptimizerKind.SGD: (0.004, 1.2),
        OptimizerKind.ADAM: (0.0002, 0.06),
    }
    Options: ClassVar[type[WorkloadOptions]] = CharLmOptions

    def declare(self, options: CharLmOptions, *, seed: int, device: torch.device) -> Declaration:
        """Build the transformer.

        Raises:
            InvalidValue: ``heads`` does not divide ``width``.
        """
        if options.width % options.heads:
            raise InvalidValue("options.heads", value=options.heads, allowed=f"a divisor of the width, {options.width}")
        text = manual_text(device)
        model = CharTransformer(options).to(device)
        window = torch.arange(options.context + 1, device=device)
        held_out = _evenly_spread_windows(text.validation, length=len(window))

        def batch(step: int) -> Tensor:
            generator = step_generator(seed, "windows", step)
            blocks = torch.randint(len(text.train), (options.batch_size, 1), generator=generator)
            starts = torch.randint(BLOCK - options.context, (options.batch_size, 1), generator=generator)
            return text.train[blocks.to(device), starts.to(device) + window]

        return Declaration(
            model=model,
            optimizer=build_optimizer(model, options=options),
            batch=batch,
            loss=_next_character_loss,
            evaluate=lambda model: _next_character_loss(model, held_out).item(),
            clip_norm=1.0,
            mixed_precision=True,
        )
