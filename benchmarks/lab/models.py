"""Small models in stacks: m models of one shape, trained at once, each as if it were alone.

Every parameter has the models as its first dimension, so that one call of a batched matrix product serves all of them.
No operation mixes models: the gradient of the sum of their losses is each model's own gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

Parameters = dict[str, Tensor]
"""By name, each ``[m, ...]``."""
Init = Callable[[torch.Generator], Mapping[str, Tensor]]
"""The parameters of one model, drawn with its generator."""


def stacked(init: Init, *, seeds: Sequence[int], derive: Callable[[int], torch.Generator]) -> Parameters:
    """The parameters of one model per seed.

    Args:
        init: Of one model.
        seeds: ``m``, one per model; equal seeds give equal models.
        derive: The generator of a seed.
    """
    single = {seed: init(derive(seed)) for seed in dict.fromkeys(seeds)}
    names = next(iter(single.values()))
    return {name: torch.stack([single[seed][name] for seed in seeds]) for name in names}


def linear_init(generator: torch.Generator, *, inputs: int, outputs: int, gain: float = 1.0) -> tuple[Tensor, Tensor]:
    """Weights ``[inputs, outputs]`` and biases ``[1, outputs]``, uniform as in `torch.nn.Linear`, times ``gain``."""
    bound = gain / math.sqrt(inputs)
    weights = torch.empty(inputs, outputs).uniform_(-bound, bound, generator=generator)
    return weights, torch.empty(1, outputs).uniform_(-bound, bound, generator=generator)


def mlp_init(generator: torch.Generator, *, widths: Sequence[int], gain: float = 1.0) -> dict[str, Tensor]:
    """An MLP with these widths, from the inputs to the outputs."""
    parameters: dict[str, Tensor] = {}
    for layer, (inputs, outputs) in enumerate(pairwise(widths)):
        last = layer == len(widths) - 2
        weights, biases = linear_init(generator, inputs=inputs, outputs=outputs, gain=1.0 if last else gain)
        parameters |= {f"w{layer}": weights, f"b{layer}": biases}
    return parameters


def mlp(parameters: Parameters, x: Tensor) -> Tensor:
    """The outputs of all models.

    Args:
        parameters: Of `mlp_init`, stacked.
        x: ``[m, rows, inputs]``.

    Returns:
        ``[m, rows, outputs]``.
    """
    layers = len(parameters) // 2
    for layer in range(layers):
        x = torch.baddbmm(parameters[f"b{layer}"], x, parameters[f"w{layer}"])
        if layer < layers - 1:
            x = functional.relu(x)
    return x


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """``[m]``: mean cross entropy of ``[m, rows, classes]`` under ``[m, rows]``."""
    return functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(1)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """``[m]``: mean squared error of ``[m, rows, 1]`` from ``[m, rows]``."""
    return (outputs.squeeze(2) - targets).square().mean(1)
