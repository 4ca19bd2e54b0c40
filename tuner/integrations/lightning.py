"""Lightning: a module's optimizer with the run's schedule, and a callback that reports to the run.

```python
class MyModule(LightningModule):
    def configure_optimizers(self):
        return optimizer_and_schedule(run, torch.optim.AdamW(self.parameters(), lr=1.0))

trainer = Trainer(**trainer_arguments(run), callbacks=[TunerCallback(run)])
trainer.fit(MyModule(), train_loader, val_loader)
```

Several optimizers (a GAN, Muon and AdamW) need Lightning's manual optimization: ``configure_optimizers`` returns
``optimizer_and_schedule(run, generator, discriminator)``; ``training_step`` calls ``self.lr_schedulers().step()`` once
per update of the first one. That counts the updates of the run then, as Lightning counts the steps of all optimizers.
"""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from tuner.errors import InvalidValue
from tuner.metric import check_monitored
from tuner.schedules.torch_adapter import ScheduleLR
from tuner.training.run import RunStopped, TrainingRun
from tuner.validation import phrase

__all__ = ["TunerCallback", "optimizer_and_schedule", "trainer_arguments"]

_EVERY_BATCH = 1, None  # across epochs; the callback selects the batches
_NEVER = 2**62  # batches between two validations


def optimizer_and_schedule(run: TrainingRun, *optimizers: Optimizer, reference: Optimizer | None = None) -> Any:
    """The return value of ``configure_optimizers``: the schedule steps once per optimizer update, not per epoch.

    Args:
        run: The run to follow.
        *optimizers: One, or several with a manual optimization; see `TrainingRun.scheduler`.
        reference: See `TrainingRun.scheduler`.

    Raises:
        InvalidValue: See `TrainingRun.scheduler`.
    """
    schedule = {"scheduler": run.scheduler(*optimizers, reference=reference), "interval": "step"}
    if len(optimizers) == 1:
        return {"optimizer": optimizers[0], "lr_scheduler": schedule}
    return list(optimizers), [schedule]


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
            declares; or there is no such ``mode``.
    """

    def __init__(
        self, run: TrainingRun, *, monitor: str = "val_loss", mode: Literal["min", "max"] | None = None
    ) -> None:
        if mode not in (None, "min", "max"):
            raise InvalidValue("mode", value=mode, allowed=phrase("enum", ["min", "max"]))
        stated = None if mode is None else mode == "max"
        check_monitored("monitor", name=monitor, metric=run.metric, higher_is_better=stated)
        self._run = run
        self._monitor = monitor
        self._evaluated = 0
        self._stopped = False
        self._last: tuple[int, float] | None = None  # step and value of the last report

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the length of the fit, and set when it validates and, with several optimizers, when it ends.

        Raises:
            InvalidValue: ``max_steps`` differs from the run's ``total_steps``, or the schedule of several optimizers
                comes from elsewhere.
        """
        self._updates(trainer)
        if len(trainer.optimizers) > 1:
            trainer.fit_loop.epoch_loop.max_steps = -1  # it counts the steps of all; `on_validation_end` ends the fit
        elif trainer.max_steps != self._run.total_steps:
            hint = "Use Trainer(**trainer_arguments(run), ...)"
            allowed = f"{self._run.total_steps}, as the run says"
            raise InvalidValue("Trainer.max_steps", value=trainer.max_steps, allowed=allowed, hint=hint)
        trainer.val_check_interval, trainer.check_val_every_n_epoch = _EVERY_BATCH

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the run where a resumed training starts."""
        if step := self._updates(trainer):
            self._run.resumed(step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Validate after this batch at ``run.evaluate_at``; Lightning itself knows only multiples of batches."""
        step = self._updates(trainer)
        due = step in self._run.evaluate_at and step != self._evaluated
        trainer.val_check_batch = 1 if due else _NEVER
        if due:
            self._evaluated = step

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report a validation of the fit, except the sanity check before it.

        Raises:
            InvalidValue: ``monitor`` was not logged.
        """
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        step = self._updates(trainer)
        if len(trainer.optimizers) > 1 and step >= self._run.total_steps:
            trainer.should_stop = True
        if self._monitor not in trainer.callback_metrics:
            logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
            raise InvalidValue("monitor", value=self._monitor, allowed=f"a metric that is logged: {logged}")
        value = float(trainer.callback_metrics[self._monitor])
        if not trainer.is_global_zero:
            self._run.follow(step, value=value)
            return
        try:
            self._run.report(step, value=value)
            self._last = step, value
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

    @staticmethod
    def _updates(trainer: Trainer) -> int:
        """Updates done: of several optimizers those that their common schedule has counted.

        Raises:
            InvalidValue: Several optimizers, and none of the schedules that Lightning knows is the run's.
        """
        if len(trainer.optimizers) == 1:
            return int(trainer.global_step)
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, ScheduleLR):
                return int(config.scheduler.last_epoch)
        names = [type(config.scheduler).__name__ for config in trainer.lr_scheduler_configs]
        allowed = "that of the run, where several optimizers train"
        hint = "Return optimizer_and_schedule(run, first, second) from configure_optimizers"
        raise InvalidValue("the scheduler", value=names or None, allowed=allowed, hint=hint)
