"""SGD with momentum and AdamW on stacks of models, with a learning rate of its own for each, as torch defines them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from benchmarks.lab.models import Parameters

BETAS = (0.9, 0.99)
"""As in `tuner.workloads`: torch's .999 is for longer runs than these."""
_EPS = 1e-8


class Optimizer(Protocol):
    """Updates parameters in place."""

    def step(self, gradients: Parameters, *, lrs: Tensor) -> None:
        """One update, with a rate ``[m]`` for each model."""


class Sgd:
    """`torch.optim.SGD` with momentum.

    Args:
        parameters: Of all models.
        momentum: A fraction.
        weight_decay: An L2 penalty on matrices, not on biases.
    """

    def __init__(self, parameters: Parameters, *, momentum: float, weight_decay: float) -> None:
        self._parameters = parameters
        self._momentum = momentum
        self._weight_decay = weight_decay
        self._velocity = {name: torch.zeros_like(value) for name, value in parameters.items()}

    @torch.no_grad()
    def step(self, gradients: Parameters, *, lrs: Tensor) -> None:
        for name, value in self._parameters.items():
            gradient = gradients[name]
            if self._weight_decay and _is_matrix(value):
                gradient = gradient.add(value, alpha=self._weight_decay)
            velocity = self._velocity[name].mul_(self._momentum).add_(gradient)
            value.sub_(_per_model(lrs, value) * velocity)


class AdamW:
    """`torch.optim.AdamW`.

    Args:
        parameters: Of all models.
        weight_decay: Decoupled, on matrices, not on biases.
    """

    def __init__(self, parameters: Parameters, *, weight_decay: float) -> None:
        self._parameters = parameters
        self._weight_decay = weight_decay
        self._first = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self._second = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self._updates = 0

    @torch.no_grad()
    def step(self, gradients: Parameters, *, lrs: Tensor) -> None:
        self._updates += 1
        correction = [1.0 - beta**self._updates for beta in BETAS]
        for name, value in self._parameters.items():
            gradient, rates = gradients[name], _per_model(lrs, value)
            if self._weight_decay and _is_matrix(value):
                value.mul_(1.0 - rates * self._weight_decay)
            first = self._first[name].lerp_(gradient, 1.0 - BETAS[0])
            second = self._second[name].mul_(BETAS[1]).addcmul_(gradient, gradient, value=1.0 - BETAS[1])
            denominator = (second / correction[1]).sqrt_().add_(_EPS)
            value.sub_(rates / correction[0] * first / denominator)


def clipped(gradients: Parameters, *, norm: float) -> Parameters:
    """Gradients of which each model's norm over all parameters is at most ``norm``."""
    squares = torch.stack([value.flatten(1).square().sum(1) for value in gradients.values()])  # [parameters, m]
    factors = (norm / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1.0)
    return {name: value * _per_model(factors, value) for name, value in gradients.items()}


def _per_model(values: Tensor, parameter: Tensor) -> Tensor:
    """``[m]`` in a shape that multiplies ``[m, ...]`` model by model."""
    return values.view(-1, *[1] * (parameter.dim() - 1))


def _is_matrix(parameter: Tensor) -> bool:
    """Whether each model has a matrix here; biases and gains are ``[m, 1, n]``."""
    return parameter.dim() == 3 and parameter.shape[1] > 1
