"""Lightning: a module's optimizer with the run's schedule, and a callback that reports to the run.

```python
class MyModule(LightningModule):
    def configure_optimizers(self):
        return optimizer_and_schedule(run, torch.optim.AdamW(self.parameters(), lr=1.0))

trainer = Trainer(**trainer_arguments(run), callbacks=[TunerCallback(run)])
trainer.fit(MyModule(), train_loader, val_loader)
```
"""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from tuner.errors import InvalidValue
from tuner.metric import check_monitored
from tuner.training.run import RunStopped, TrainingRun

__all__ = ["TunerCallback", "optimizer_and_schedule", "trainer_arguments"]

_EVERY_BATCH = 1, None  # across epochs; the callback selects the batches
_NEVER = 2**62  # batches between two validations


def optimizer_and_schedule(run: TrainingRun, optimizer: Optimizer) -> dict[str, Any]:
    """The return value of ``configure_optimizers``: the schedule steps once per optimizer update, not per epoch."""
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": run.scheduler(optimizer), "interval": "step"}}


def trainer_arguments(run: TrainingRun, *, accumulate_grad_batches: int = 1) -> dict[str, Any]:
    """The arguments of the ``Trainer`` that the run sets: the number of updates, and when to validate.

    A trainer with ``max_steps=run.total_steps`` works as well: `TunerCallback` sets when it validates.

    Args:
        run: The run to follow.
        accumulate_grad_batches: Batches per optimizer update, at least 1. The last update of an epoch may have fewer;
            the run counts updates.
    """
    val_check_interval, check_val_every_n_epoch = _EVERY_BATCH
    return {
        "max_steps": run.total_steps,
        "max_epochs": -1,
        "accumulate_grad_batches": accumulate_grad_batches,
        "val_check_interval": val_check_interval,
        "check_val_every_n_epoch": check_val_every_n_epoch,
    }


class TunerCallback(Callback):
    """Validates at ``run.evaluate_at``, reports the validations, and ends the fit when the run is stopped.

    Where another callback ends the fit early (``EarlyStopping``), the last validation is the result of the run.

    It overrides ``val_check_interval`` and ``check_val_every_n_epoch``. ``monitor`` must be logged in
    ``validation_step``, with ``sync_dist=True`` when there are several processes, of which only the first one reports.

    Args:
        run: The run to report to.
        monitor: Name that the workload's metric is logged under.
        mode: ``"min"`` or ``"max"`` as in Lightning's own callbacks; that of the workload's metric when absent.

    Raises:
        InvalidValue: ``monitor``, by its name or by ``mode``, has another direction than the metric that the workload
            declares.
    """

    def __init__(
        self, run: TrainingRun, *, monitor: str = "val_loss", mode: Literal["min", "max"] | None = None
    ) -> None:
        stated = None if mode is None else mode == "max"
        check_monitored("monitor", name=monitor, metric=run.metric, higher_is_better=stated)
        self._run = run
        self._monitor = monitor
        self._evaluated = 0
        self._stopped = False
        self._last: tuple[int, float] | None = None  # step and value of the last report

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the length of the fit, and set when it validates.

        Raises:
            InvalidValue: ``max_steps`` differs from the run's ``total_steps``.
        """
        if trainer.max_steps != self._run.total_steps:
            hint = "Use Trainer(**trainer_arguments(run), ...)"
            allowed = f"{self._run.total_steps}, as the run says"
            raise InvalidValue("Trainer.max_steps", value=trainer.max_steps, allowed=allowed, hint=hint)
        trainer.val_check_interval, trainer.check_val_every_n_epoch = _EVERY_BATCH

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the run where a resumed training starts."""
        if trainer.global_step:
            self._run.resumed(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Validate after this batch at ``run.evaluate_at``; Lightning itself knows only multiples of batches."""
        due = trainer.global_step in self._run.evaluate_at and trainer.global_step != self._evaluated
        trainer.val_check_batch = 1 if due else _NEVER
        if due:
            self._evaluated = trainer.global_step

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report a validation of the fit, except the sanity check before it.

        Raises:
            InvalidValue: ``monitor`` was not logged.
        """
        if trainer.sanity_checking or trainer.state.fn != "fit" or not trainer.is_global_zero:
            return
        if self._monitor not in trainer.callback_metrics:
            logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
            raise InvalidValue("monitor", value=self._monitor, allowed=f"a metric that is logged: {logged}")
        value = float(trainer.callback_metrics[self._monitor])
        try:
            self._run.report(trainer.global_step, value=value)
            self._last = trainer.global_step, value
        except RunStopped:
            self._stopped = True
            trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End a run that was stopped, or that another callback has ended early, after the trainer's own clean-up.

        Raises:
            RunStopped: The run was stopped before its last update.
        """
        if self._stopped:
            raise RunStopped
        if self._last is not None and self._last[0] < self._run.total_steps:
            step, value = self._last
            self._run.finish(step, value=value)
