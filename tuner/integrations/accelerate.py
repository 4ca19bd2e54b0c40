"""Accelerate: a scheduler and reports for training loops of several processes.

```python
scheduler = update_scheduler(run, optimizer, accelerator=accelerator)  # do not pass it to accelerator.prepare
for batch in loader:
    with accelerator.accumulate(model):
        ...
        optimizer.step()
        scheduler.step()
```

A prepared scheduler steps once per process, so that a schedule of T updates ends after T / processes of them; and a
loop with gradient accumulation steps it per micro-batch. This scheduler steps once per optimizer update in both cases.
"""

from __future__ import annotations

from typing import Any, SupportsFloat

import torch
from accelerate import Accelerator
from torch.optim import Optimizer

from tuner.training.run import TrainingRun

__all__ = ["UpdateScheduler", "finish", "report", "update_scheduler"]


class UpdateScheduler:
    """Follows the run's schedule, one step per optimizer update, for any number of processes and micro-batches.

    It is deliberately not a torch scheduler, so that ``accelerator.prepare`` returns it unchanged. To save it in
    checkpoints, pass it to ``accelerator.register_for_checkpointing``.

    Args:
        run: The run whose schedule to follow.
        *optimizers: One or several, as in `TrainingRun.scheduler`, before or after ``accelerator.prepare``.
        accelerator: The accelerator of the loop.
        reference: See `TrainingRun.scheduler`.

    Raises:
        InvalidValue: See `TrainingRun.scheduler`.
    """

    def __init__(
        self, run: TrainingRun, *optimizers: Optimizer, accelerator: Accelerator, reference: Optimizer | None = None
    ) -> None:
        self._scheduler = run.scheduler(*map(_unwrapped, optimizers), reference=_unwrapped(reference))
        self._accelerator = accelerator

    def step(self) -> None:
        """Call it after every ``optimizer.step()``; it counts the calls that updated the parameters."""
        if self._accelerator.sync_gradients and not self._accelerator.optimizer_step_was_skipped:
            self._scheduler.step()

    def get_last_lr(self) -> list[float]:
        """The learning rate of each parameter group for the next update."""
        return [float(lr) for lr in self._scheduler.get_last_lr()]

    def state_dict(self) -> dict[str, Any]:
        """See `ScheduleLR.state_dict`."""
        return self._scheduler.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `ScheduleLR.load_state_dict`.

        Raises:
            InvalidValue: The state belongs to another schedule or to a run of another length.
        """
        self._scheduler.load_state_dict(state_dict)


def update_scheduler(
    run: TrainingRun, *optimizers: Optimizer, accelerator: Accelerator, reference: Optimizer | None = None
) -> UpdateScheduler:
    """The scheduler of a run under Accelerate, an `UpdateScheduler` of these arguments."""
    return UpdateScheduler(run, *optimizers, accelerator=accelerator, reference=reference)


def report(
    run: TrainingRun,
    step: int,
    *,
    value: SupportsFloat,
    accelerator: Accelerator,
    train_loss: SupportsFloat | None = None,
) -> None:
    """Report the mean of the processes' values. Every process must call it; the main process reports.

    Args:
        run: The run to report to.
        step: Optimizer updates done, in [0, total_steps].
        value: The metric on the data of this process.
        accelerator: The accelerator of the loop.
        train_loss: Training loss of this process.

    Raises:
        RunStopped: In the main process, when the run must end here.
        InvalidValue: See `TrainingRun.report`.
    """
    mean = _mean(value, accelerator=accelerator)
    train = None if train_loss is None else _mean(train_loss, accelerator=accelerator)
    if accelerator.is_main_process:
        run.report(step, value=mean, train_loss=train)
    else:
        run.follow(step, value=mean)


def finish(
    run: TrainingRun,
    step: int,
    *,
    value: SupportsFloat,
    accelerator: Accelerator,
    train_loss: SupportsFloat | None = None,
) -> None:
    """End the run early with the mean of the processes' values as its result; the arguments are those of `report`.

    Every process must call it.

    Raises:
        RunStopped: In the main process, when the run is over already, or the value is not finite.
        InvalidValue: See `TrainingRun.finish`.
    """
    mean = _mean(value, accelerator=accelerator)
    train = None if train_loss is None else _mean(train_loss, accelerator=accelerator)
    if accelerator.is_main_process:
        run.finish(step, value=mean, train_loss=train)


def _unwrapped(optimizer: Any) -> Any:
    return getattr(optimizer, "optimizer", optimizer)


def _mean(value: SupportsFloat, *, accelerator: Accelerator) -> SupportsFloat:
    if accelerator.num_processes == 1:
        return value
    local = torch.as_tensor(float(value), dtype=torch.float32, device=accelerator.device)
    mean: torch.Tensor = accelerator.reduce(local, reduction="mean")
    return mean
