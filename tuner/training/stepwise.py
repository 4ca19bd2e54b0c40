"""The one form of training that the engine drives."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor


class RunFinished(Exception):
    """The training ends early by a rule of its own, with its result: raised in `train_step` or `validate`.

    The updates made so far count, and the value counts as the result at the horizon.

    Args:
        value: The result, of the workload's metric; that of the best state, for instance. The training validates once
            more when absent.

    Example:
        >>> from tuner import RunFinished
        >>> def validate(losses, *, patience):
        ...     if len(losses) - losses.index(min(losses)) > patience:
        ...         raise RunFinished(min(losses))
        ...     return losses[-1]
        >>> validate([0.5, 0.2, 0.3], patience=2)
        0.3
    """

    def __init__(self, value: float | Tensor | None = None) -> None:
        super().__init__(value)
        self.value = value


@runtime_checkable
class StepwiseTraining(Protocol):
    """One training that makes its own updates, built on its device with its seed.

    Example:
        >>> from tuner import StepwiseTraining
        >>> class Quadratic:
        ...     x = 1.0
        ...     def train_step(self, step, lr):
        ...         loss = self.x**2
        ...         self.x -= lr * 2 * self.x
        ...         return loss
        ...     def validate(self):
        ...         return self.x**2
        ...     def state_dict(self):
        ...         return {"x": self.x}
        ...     def load_state_dict(self, state):
        ...         self.x = state["x"]
        >>> isinstance(Quadratic(), StepwiseTraining)
        True
    """

    def train_step(self, step: int, lr: float) -> float | Tensor:
        """Make update ``step`` (0-based) at learning rate ``lr``.

        Returns:
            The training loss before the update; a scalar tensor on the device is best, it costs no waiting for it.
        """

    def validate(self) -> float:
        """The value of the workload's metric, the validation loss by default; leaves model and optimizer unchanged."""

    def state_dict(self) -> dict[str, Any]:
        """Everything the next update depends on, in tensors, numbers, strings and containers of those."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state that `state_dict` returned, in a training newly built with the same options and seed.

        Its tensors come on the CPU.
        """
