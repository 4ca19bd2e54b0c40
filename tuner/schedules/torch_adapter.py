"""A schedule as a torch learning-rate scheduler."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tuner.errors import InvalidValue
from tuner.schedules.schedule import Schedule


class ScheduleLR(LRScheduler):
    """Sets the learning rate of every update from a schedule.

    Call ``scheduler.step()`` once after every ``optimizer.step()`` that changed the parameters: not per epoch, not per
    micro-batch, and not for an update that a gradient scaler skipped. Past ``total_steps`` the rate stays at the end
    value of the schedule.

    The optimizer's initial learning rates set the ratios between its parameter groups: the group with the largest one
    follows the schedule, a group with half of that follows at half the rate, and so on.

    The rate is a function of the number of updates done, never of the previous rate. So a run resumes from
    ``state_dict`` exactly, whether the optimizer's state is loaded before or after.

    Args:
        optimizer: Its parameter groups must have learning rates of at least 0, one of them above 0.
        schedule: The schedule to follow.
        total_steps: Updates of the run, at least 1.

    Raises:
        InvalidValue: The schedule does not fit into ``total_steps``, or no group has a learning rate above 0.

    Example:
        >>> import torch
        >>> from tuner import Schedule, ScheduleLR
        >>> from tuner.schedules import Linear
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=1.0)
        >>> scheduler = ScheduleLR(optimizer, Schedule(peak_lr=0.1, family=Linear()), total_steps=4)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.025]
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule, *, total_steps: int) -> None:
        self.schedule = schedule
        self.total_steps = total_steps
        self._lrs = [*schedule.lrs(total_steps).tolist(), schedule.lr(total_steps, total_steps=total_steps)]
        initial = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
        if max(initial) <= 0:
            raise InvalidValue("the optimizer's lr", value=initial, allowed="above 0 in at least one parameter group")
        self._ratios = [lr / max(initial) for lr in initial]
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of each parameter group for the next update."""
        lr = self._lrs[min(self.last_epoch, self.total_steps)]
        return [lr * ratio for ratio in self._ratios]

    def state_dict(self) -> dict[str, Any]:
        """The state that a resumed run needs: the updates done, the schedule and ``total_steps``."""
        return {"updates_done": self.last_epoch, "total_steps": self.total_steps, "schedule": self.schedule.to_json()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of updates done, and set the learning rate of the next one.

        Raises:
            InvalidValue: The state belongs to another schedule or to a run of another length.
        """
        for field, expected in (("schedule", self.schedule.to_json()), ("total_steps", self.total_steps)):
            if state_dict.get(field) != expected:
                raise InvalidValue(
                    field,
                    value=state_dict.get(field),
                    allowed=f"what the run was started with; this scheduler has {expected!r}",
                    hint="Build the scheduler with the schedule and total_steps of the saved run.",
                )
        self.last_epoch = state_dict["updates_done"] - 1
        self._step_count = state_dict["updates_done"] + 1
        self._update_lr()
