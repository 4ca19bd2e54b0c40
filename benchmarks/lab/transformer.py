"""A small causal transformer in stacks: m models of one shape at once; see `benchmarks.lab.models`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.lab.models import Parameters, linear_init


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Shape of one model."""

    vocabulary: int
    context: int
    width: int
    layers: int
    heads: int
    post_norm: bool = False
    """Normalize after each addition to the residual stream, as in the first transformers, instead of before."""


def transformer_init(generator: torch.Generator, *, shape: Shape) -> dict[str, Tensor]:
    """One model's parameters; the head is zero, so that the first loss is log(vocabulary) exactly."""
    width = shape.width
    scale = 1.0 / math.sqrt(width) if shape.post_norm else 1.0
    parameters = {
        "tokens": scale * torch.randn(shape.vocabulary, width, generator=generator),
        "positions": scale * torch.randn(shape.context, width, generator=generator),
        "head": torch.zeros(width, shape.vocabulary),
    }
    if not shape.post_norm:
        parameters["norm"] = torch.ones(1, width)
    for layer in range(shape.layers):
        sizes = {"qkv": (width, 3 * width), "out": (width, width), "up": (width, 4 * width), "down": (4 * width, width)}
        for name, (inputs, outputs) in sizes.items():
            parameters[f"{layer}.{name}"] = linear_init(generator, inputs=inputs, outputs=outputs)[0]
        parameters |= {f"{layer}.norm1": torch.ones(1, width), f"{layer}.norm2": torch.ones(1, width)}
    return parameters


def next_token_losses(parameters: Parameters, windows: Tensor, *, shape: Shape) -> Tensor:
    """``[m]``: mean cross entropy of the next token, in nats.

    Args:
        parameters: Of `transformer_init`, stacked.
        windows: int64 ``[m, batch, context + 1]``.
    """
    models = len(windows)
    codes, labels = windows[:, :, :-1], windows[:, :, 1:]
    # One table of all models' tokens: a gather in it is far faster than one per model.
    offsets = torch.arange(models).view(-1, 1, 1) * shape.vocabulary
    x = functional.embedding(codes + offsets, parameters["tokens"].flatten(0, 1))  # [m, batch, context, width]
    x = (x + parameters["positions"].unsqueeze(1)).flatten(1, 2)  # [m, batch * context, width]
    for layer in range(shape.layers):
        x = _block(x, parameters, layer=layer, shape=shape)
    if not shape.post_norm:
        x = _normalized(x, parameters["norm"])
    logits = torch.bmm(x, parameters["head"])
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view(models, -1).mean(1)


def _block(x: Tensor, parameters: Parameters, *, layer: int, shape: Shape) -> Tensor:
    """Attention, then an MLP: ``[m, batch * context, width]`` -> the same shape."""
    for norm, part in (("norm1", _attention), ("norm2", _mlp)):
        gains = parameters[f"{layer}.{norm}"]
        if shape.post_norm:
            x = _normalized(x + part(x, parameters, layer, shape), gains)
        else:
            x = x + part(_normalized(x, gains), parameters, layer, shape)
    return x


def _attention(x: Tensor, parameters: Parameters, layer: int, shape: Shape) -> Tensor:
    models = len(x)
    qkv = torch.bmm(x, parameters[f"{layer}.qkv"])
    qkv = qkv.view(-1, shape.context, 3, shape.heads, shape.width // shape.heads)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each [m * batch, heads, context, width / heads]
    mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    return torch.bmm(mixed.transpose(1, 2).reshape(models, -1, shape.width), parameters[f"{layer}.out"])


def _mlp(x: Tensor, parameters: Parameters, layer: int, shape: Shape) -> Tensor:
    return torch.bmm(functional.relu(torch.bmm(x, parameters[f"{layer}.up"])), parameters[f"{layer}.down"])


def _normalized(x: Tensor, gains: Tensor) -> Tensor:
    """Layer norm of ``[m, rows, width]`` with each model's gains ``[m, 1, width]``."""
    return functional.layer_norm(x, x.shape[-1:]) * gains
