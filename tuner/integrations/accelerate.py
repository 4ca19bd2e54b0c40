"""Accelerate, attached to a run.

```python
scheduler = update_scheduler(run, optimizer, accelerator=accelerator)  # not given to accelerator.prepare
for batch in loader:
    with accelerator.accumulate(model):
        ...
        optimizer.step()
        scheduler.step()
```

A scheduler that is prepared steps once per process, so that a schedule of T updates is over after T / processes of
them; and in a loop that accumulates it is stepped by micro-batch. This one does neither.
"""

from __future__ import annotations

from typing import Any, SupportsFloat

import torch
from accelerate import Accelerator
from torch.optim import Optimizer

from tuner.training.run import TrainingRun

__all__ = ["UpdateScheduler", "report", "update_scheduler"]


class UpdateScheduler:
    """Follows the run's schedule, one step per optimizer update, however many processes and micro-batches there are.

    It is no torch scheduler on purpose: ``accelerator.prepare`` gives it back as it is. To have it in checkpoints, give
    it to ``accelerator.register_for_checkpointing``.

    Args:
        run: What to follow.
        optimizer: As it was before ``accelerator.prepare``, or after.
        accelerator: Knows which calls belong to an update.
    """

    def __init__(self, run: TrainingRun, optimizer: Optimizer, *, accelerator: Accelerator) -> None:
        self._scheduler = run.scheduler(getattr(optimizer, "optimizer", optimizer))
        self._accelerator = accelerator

    def step(self) -> None:
        """Call it after every ``optimizer.step()``: it counts those that were carried out."""
        if self._accelerator.sync_gradients and not self._accelerator.optimizer_step_was_skipped:
            self._scheduler.step()

    def get_last_lr(self) -> list[float]:
        """The learning rate of each parameter group for the next update."""
        return [float(lr) for lr in self._scheduler.get_last_lr()]

    def state_dict(self) -> dict[str, Any]:
        """As that of `ScheduleLR`."""
        return self._scheduler.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As that of `ScheduleLR`.

        Raises:
            InvalidValue: The state belongs to another schedule or to a run of another length.
        """
        self._scheduler.load_state_dict(state_dict)


def update_scheduler(run: TrainingRun, optimizer: Optimizer, *, accelerator: Accelerator) -> UpdateScheduler:
    """The scheduler of a run under Accelerate; the arguments are those of `UpdateScheduler`."""
    return UpdateScheduler(run, optimizer, accelerator=accelerator)


def report(
    run: TrainingRun,
    step: int,
    *,
    val_loss: SupportsFloat,
    accelerator: Accelerator,
    train_loss: SupportsFloat | None = None,
) -> None:
    """Report the mean over the processes of their validation losses. Every process must call it; the first one reports.

    Args:
        run: What to report to.
        step: Optimizer updates done.
        val_loss: Of this process.
        accelerator: Knows the processes.
        train_loss: Of this process.

    Raises:
        RunStopped: In the first process: the run is to end here.
        InvalidValue: As `TrainingRun.report` says.
    """
    mean = _mean(val_loss, accelerator=accelerator)
    train = None if train_loss is None else _mean(train_loss, accelerator=accelerator)
    if accelerator.is_main_process:
        run.report(step, val_loss=mean, train_loss=train)


def _mean(loss: SupportsFloat, *, accelerator: Accelerator) -> SupportsFloat:
    if accelerator.num_processes == 1:
        return loss
    given = torch.as_tensor(float(loss), dtype=torch.float32, device=accelerator.device)
    mean: torch.Tensor = accelerator.reduce(given, reduction="mean")
    return mean
