"""Lightning, attached to a run.

```python
class MyModule(LightningModule):
    def configure_optimizers(self):
        return optimizer_and_schedule(run, torch.optim.AdamW(self.parameters(), lr=1.0))

trainer = Trainer(**trainer_arguments(run), callbacks=[TunerCallback(run)])
trainer.fit(MyModule(), train_loader, val_loader)
```
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from tuner.errors import InvalidValue
from tuner.training.run import RunStopped, TrainingRun

__all__ = ["TunerCallback", "optimizer_and_schedule", "trainer_arguments"]

_EVERY_BATCH = 1, None  # over the ends of epochs; the callback says after which of them
_NEVER = 2**62  # batches between two validations


def optimizer_and_schedule(run: TrainingRun, optimizer: Optimizer) -> dict[str, Any]:
    """What ``configure_optimizers`` returns: the schedule steps with every optimizer update, not with every epoch."""
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": run.scheduler(optimizer), "interval": "step"}}


def trainer_arguments(run: TrainingRun, *, accumulate_grad_batches: int = 1) -> dict[str, Any]:
    """What the run says about the ``Trainer``: how long it trains, and when it validates.

    A trainer that was made with ``max_steps`` of the run will do as well: `TunerCallback` sees to the validations.

    Args:
        run: What to follow.
        accumulate_grad_batches: Batches per optimizer update, at least 1. At the end of an epoch Lightning makes an
            update of fewer; the run counts updates, so that does not matter.
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
    """Has the fit validated where the run wants it, reports that, and ends the fit when the run is over.

    How often the trainer was told to validate does not count (``val_check_interval``, ``check_val_every_n_epoch``).
    Of several processes the first one reports. ``monitor`` must be logged in ``validation_step``, with
    ``sync_dist=True`` when there are several processes.

    Args:
        run: What to report to.
        monitor: Name that the validation loss is logged under.
    """

    def __init__(self, run: TrainingRun, *, monitor: str = "val_loss") -> None:
        self._run = run
        self._monitor = monitor
        self._evaluated = 0
        self._stopped = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that the fit is as long as the run, and take over when it validates.

        Raises:
            InvalidValue: It is not.
        """
        if trainer.max_steps != self._run.total_steps:
            hint = "Use Trainer(**trainer_arguments(run), ...)"
            allowed = f"{self._run.total_steps}, as the run says"
            raise InvalidValue("Trainer.max_steps", value=trainer.max_steps, allowed=allowed, hint=hint)
        trainer.val_check_interval, trainer.check_val_every_n_epoch = _EVERY_BATCH

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the training takes up."""
        if trainer.global_step:
            self._run.resumed(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Let Lightning validate after this batch where the run wants it: it knows multiples of batches alone."""
        wanted = trainer.global_step in self._run.evaluate_at and trainer.global_step != self._evaluated
        trainer.val_check_batch = 1 if wanted else _NEVER
        if wanted:
            self._evaluated = trainer.global_step

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report a validation of the fit; the sanity check before it is none.

        Raises:
            InvalidValue: ``monitor`` was not logged.
        """
        if trainer.sanity_checking or trainer.state.fn != "fit" or not trainer.is_global_zero:
            return
        if self._monitor not in trainer.callback_metrics:
            logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
            raise InvalidValue("monitor", value=self._monitor, allowed=f"something that is logged; {logged} is")
        try:
            self._run.report(trainer.global_step, val_loss=trainer.callback_metrics[self._monitor])
        except RunStopped:
            self._stopped = True
            trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the run, once the trainer has put everything in order.

        Raises:
            RunStopped: The run was over before its last update.
        """
        if self._stopped:
            raise RunStopped
