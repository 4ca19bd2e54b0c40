"""timm: a scheduler of its own kind, for the train.py of timm and for loops like it.

```python
lr_scheduler = RunScheduler(run, optimizer)  # in the place of create_scheduler_v2
```

The loop calls ``step_update(num_updates)`` after every update, as it does already; what it calls per epoch has no
effect. Loops that call ``scheduler.step()`` after every update take ``run.scheduler(optimizer)``.
"""

from __future__ import annotations

from timm.scheduler.scheduler import Scheduler
from torch.optim import Optimizer

from tuner.schedules.torch_adapter import GroupRates
from tuner.training.run import TrainingRun

__all__ = ["RunScheduler"]


class RunScheduler(Scheduler):
    """Follows the run's schedule by the count of updates that the loop passes on.

    The largest rate of the optimizer follows the schedule; every other group keeps its ratio to it, ``lr_scale`` of a
    layer decay included. It holds no state: a resumed loop calls ``step_update`` with the updates done.

    Args:
        run: The run to follow.
        optimizer: As ``create_optimizer_v2`` builds it.

    Raises:
        InvalidValue: No parameter group has a learning rate above 0.
    """

    def __init__(self, run: TrainingRun, optimizer: Optimizer) -> None:
        self._run = run
        self._rates = GroupRates(optimizer)
        self._updates = 0
        super().__init__(optimizer, param_group_field="lr", t_in_epochs=False)
        self.step_update(0)
        run.call_after_evaluations(lambda: self.step_update(self._updates))

    def step_update(self, num_updates: int, metric: float | None = None) -> None:
        """Set the rates of the update that follows ``num_updates`` updates."""
        self._updates = num_updates
        self._rates.set(self._run.lr(num_updates))

    def _get_lr(self, t: int) -> list[float]:
        return self._rates.rates(self.optimizer, lr=self._run.lr(t))
